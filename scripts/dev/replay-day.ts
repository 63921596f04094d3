import { createHash } from 'node:crypto';
import { type App } from '../../src/app.ts';
import { fixedClock } from '../../src/clock.ts';
import { sqlInstant } from '../../src/db/knex.ts';
import { fillFigures } from '../../src/network/figures.ts';

const stepMs = 300_000;
const steps = 288;

interface OpenSession {
  readonly id: string;
  readonly username: string;
  readonly startedAt: number;
}

/**
 * A day of sessions before the lab begins, so that charts have something to show: rows of accounting that open and
 * close as people come and go, and at each five minutes the job that counts them, told that it is that time. All are
 * closed at the end. Only for pictures, before any role runs.
 */
export async function replayADay(app: App): Promise<void> {
  const logins = await app
    .db('login')
    .whereNull('retired_at')
    .orderBy('id')
    .limit(280)
    .pluck<string[]>('username');
  const routers = await app.db('router').whereNull('removed_at').orderBy('id').pluck<string[]>('id');
  const end = Math.floor(app.clock.now().getTime() / stepMs) * stepMs;
  const open: OpenSession[] = [];
  let offline = [...logins];
  for (let step = steps; step >= 1; step--) {
    const at = end - step * stepMs;
    const wanted = Math.round(logins.length * share(at));
    const gone = open.splice(0, Math.max(0, open.length - wanted));
    const back = offline.slice(0, Math.max(0, wanted - open.length));
    offline = [...offline.slice(back.length), ...gone.map((session) => session.username)];
    await close(app, gone, at);
    open.push(...(await start(app, back, routers, at)));
    await fillFigures({ ...app.context('replay'), clock: fixedClock(new Date(at + 30_000).toISOString()) });
  }
  await close(app, open, end - stepMs);
}

/** Fewest at four in the morning, most in the evening, in the demo's own zone, six hours ahead of UTC. */
function share(at: number): number {
  const hour = new Date(at).getUTCHours() + new Date(at).getUTCMinutes() / 60;
  return 0.82 + 0.16 * Math.sin(((hour + 6 - 13) / 24) * 2 * Math.PI);
}

async function start(
  app: App,
  usernames: readonly string[],
  routers: readonly string[],
  at: number,
): Promise<OpenSession[]> {
  const started: OpenSession[] = [];
  for (const [index, username] of usernames.entries()) {
    const startedAt = at - (index % 5) * 50_000;
    const [id] = await app.db('radacct').insert({
      acctsessionid: (startedAt + index).toString(16),
      acctuniqueid: createHash('md5').update(`${username} ${at}`).digest('hex'),
      username,
      router_id: routers[username.length % routers.length],
      acctstarttime: sqlInstant(new Date(startedAt)).slice(0, 19),
      acctupdatetime: sqlInstant(new Date(startedAt)).slice(0, 19),
    });
    started.push({ id: String(id), username, startedAt });
  }
  return started;
}

async function close(app: App, sessions: readonly OpenSession[], at: number): Promise<void> {
  for (const { id, startedAt } of sessions) {
    const seconds = Math.max(0, Math.round((at - startedAt) / 1000));
    const stoppedAt = sqlInstant(new Date(at)).slice(0, 19);
    await app
      .db('radacct')
      .where({ radacctid: id })
      .update({
        acctupdatetime: stoppedAt,
        acctstoptime: stoppedAt,
        acctsessiontime: seconds,
        acctinputoctets: seconds * 15_000,
        acctoutputoctets: seconds * 190_000,
        acctterminatecause: 'User-Request',
        stop_seen: true,
      });
  }
}
