import { timelineOf } from '../../src/db/timeline.ts';
import { loginByUsername } from '../../src/db/subscribers.ts';
import type { Finding } from './findings.ts';
import type { World } from './world.ts';

const subjectsMost = 3;
const linesEach = 14;

/** What the timeline says of those with whom something is wrong: the first few. */
export async function timelines(world: World, findings: readonly Finding[]): Promise<string[]> {
  const usernames = [...new Set(findings.flatMap(({ username }) => username ?? []))].slice(0, subjectsMost);
  const texts: string[] = [];
  for (const username of usernames) {
    const lines = await world.observer
      .ask((db) => timelineLines(db, username))
      .catch(() => ['cannot be read']);
    const cpe = world.lab.cpes.get(username)?.view();
    texts.push(
      [
        `${username}, at ${cpe?.router ?? 'no router'}, ${cpe?.state ?? ''} (last dial: ${cpe?.last ?? '-'}), newest first:`,
        ...lines,
      ].join('\n    '),
    );
  }
  return texts;
}

async function timelineLines(db: World['observer']['db'], username: string): Promise<string[]> {
  const login = await loginByUsername(db, username);
  if (login === undefined) return ['no such login'];
  const entries = await timelineOf(
    db,
    { subscriberId: login.subscriberId, logins: [{ id: login.id, username }] },
    { limit: linesEach },
  );
  return entries.map((entry) => {
    const details = { ...entry, key: undefined, at: undefined, source: undefined };
    return `${entry.at.toISOString().slice(11, 23)} ${entry.source} ${JSON.stringify(details, plain).slice(0, 260)}`;
  });
}

function plain(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
