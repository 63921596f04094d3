import { setTimeout as wait } from 'node:timers/promises';
import type { Knex } from 'knex';
import type { Trouble } from './fault-plan.ts';
import { finding, type Finding } from './findings.ts';
import type { World } from './world.ts';

const patienceMs = 240_000;
const stepMs = 400;
/** So often in a row nothing may be left to do. */
const looks = 3;

/** A rest that takes longer than this is told, with what is waited for, and again after each such time. */
const worthTellingMs = 10_000;
/** Coming to rest takes seconds, some tens of them on a machine that is shared: what takes longer is a fault to look for. */
const restMs = 60_000;
/** A router that claims a session gone is believed until its next interim, and the walk over all sessions comes after that. */
const believedMs = 120_000;

export interface QuietResult {
  readonly ms: number;
  readonly findings: readonly Finding[];
}

/** Waits until Sluice has nothing left to do and the routers show it; what is still going on after minutes is stuck. */
export async function untilQuiet(world: World, say: (text: string) => void): Promise<QuietResult> {
  const startedAt = performance.now();
  let quietLooks = 0;
  let open: Finding[] = [];
  for (let toldMs = 0, ms = 0; ms < patienceMs; ms = performance.now() - startedAt) {
    open = await whatIsOpen(world);
    quietLooks = open.length === 0 ? quietLooks + 1 : 0;
    if (quietLooks === looks) return { ms: performance.now() - startedAt, findings: [] };
    if (ms - toldMs > worthTellingMs && open.length > 0) {
      toldMs = ms;
      say(`  after ${(ms / 1000).toFixed(0)} s: ${inWords(open)}`);
    }
    await wait(stepMs);
  }
  return { ms: performance.now() - startedAt, findings: open };
}

/** A rest that took far longer than what went wrong explains. Coarse: it grows with how late the lab itself was. */
export function restFindings(ms: number, of: { lateMs: number; troubles: readonly Trouble[] }): Finding[] {
  const isBelieved = of.troubles.some(
    (one) => one.kind === 'router' && one.fault.kind === 'refuse' && one.fault.errorCause === 503,
  );
  const mostMs = restMs + 20 * of.lateMs + (isBelieved ? believedMs : 0);
  if (ms <= mostMs) return [];
  const detail = `${(ms / 1000).toFixed(0)} s, where ${(mostMs / 1000).toFixed(0)} would do`;
  return [finding('rest took too long', 'after the last trouble', detail)];
}

/** How many of each kind, and one of them. */
function inWords(open: readonly Finding[]): string {
  const kinds = new Map<string, Finding[]>();
  for (const one of open) {
    const kind = `${one.check} (${one.subject.split(' ').length > 1 ? (one.subject.split(' ')[0] ?? '') : 'home'})`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  return [...kinds]
    .map(([kind, all]) => `${all.length} x ${kind}, so ${all[0]?.subject ?? ''}: ${all[0]?.detail ?? ''}`)
    .join('; ');
}

async function whatIsOpen(world: World): Promise<Finding[]> {
  const queue = await world.observer.ask(waitingKeys);
  const runs = await world.observer.ask(runsUnderWay);
  const lines = await world.observer.ask(wantedLines);
  return [...queue, ...runs, ...linesNotAsWanted(world, lines)];
}

interface WaitingRow {
  kind: string;
  key: string;
  attempts: number;
  is_parked: number;
  not_before: string;
  locked_until: string | null;
  router_id: string | null;
  last_error: string | null;
}

/** Parked rows too: when nothing goes wrong any more there is no cause for one. */
async function waitingKeys(db: Knex): Promise<Finding[]> {
  const rows = await db('reconcile_queue')
    .select<WaitingRow[]>(
      'kind',
      'key',
      'attempts',
      'is_parked',
      'not_before',
      'locked_until',
      'router_id',
      'last_error',
    )
    .orderBy('id')
    .limit(50);
  return rows.map((row) => ({
    check: row.is_parked === 1 ? 'a queue row is parked without a cause' : 'a queue row is stuck',
    subject: `${row.kind} ${row.key}`,
    detail: `router ${row.router_id ?? '-'}, ${row.attempts} attempts, not before ${row.not_before}, locked until ${row.locked_until ?? '-'}, ${row.last_error ?? 'no error'}`,
    username: undefined,
  }));
}

async function runsUnderWay(db: Knex): Promise<Finding[]> {
  const states = ['planning', 'applying', 'rolling_back'];
  const rows = await db('overdue_run').whereIn('state', states).select<{ id: string; state: string }[]>();
  return rows.map((row) => ({
    check: 'a run is stuck',
    subject: `overdue run ${row.id}`,
    detail: row.state,
    username: undefined,
  }));
}

export interface WantedLine {
  readonly username: string;
  readonly access: string;
  /** What RADIUS gives at the next dial. */
  readonly rate: string | null;
  readonly list: string | null;
  readonly pool: string | null;
}

export async function wantedLines(db: Knex): Promise<WantedLine[]> {
  const [rows] = (await db.raw(
    `SELECT l.username, d.access,
       MAX(IF(r.attribute = 'Mikrotik-Rate-Limit', r.value, NULL)) AS rate,
       MAX(IF(r.attribute = 'Mikrotik-Address-List', r.value, NULL)) AS list,
       MAX(IF(r.attribute = 'Framed-Pool', r.value, NULL)) AS pool
     FROM login l JOIN access_decision d ON d.login_id = l.id LEFT JOIN radreply r ON r.username = l.username
     GROUP BY l.username, d.access`,
  )) as unknown as [WantedLine[]];
  return rows;
}

/** Every home that is not as its login's rows say. */
function linesNotAsWanted(world: World, lines: readonly WantedLine[]): Finding[] {
  const live = world.lab.live();
  const findings: Finding[] = [];
  for (const line of lines) {
    const cpe = world.lab.cpes.get(line.username);
    if (cpe === undefined) continue;
    const why = whyNotAsWanted(line, live.get(line.username) ?? [], cpe.view().state);
    if (why !== undefined) {
      findings.push({
        check: 'a line is not as its rows say',
        subject: line.username,
        detail: `${why} at ${cpe.view().router ?? '?'}`,
        username: line.username,
      });
    }
    if (findings.length >= 20) break;
  }
  return findings;
}

interface LiveLine {
  readonly rate: string | undefined;
  readonly list: string | undefined;
  readonly pool: string | undefined;
  readonly isLiedAbout: boolean;
}

function whyNotAsWanted(line: WantedLine, live: readonly LiveLine[], state: string): string | undefined {
  if (line.access === 'denied') return live.length === 0 ? undefined : 'is denied and online';
  if (state !== 'online') return `is ${line.access} and ${state}`;
  const [session, ...more] = live;
  if (session === undefined || more.length > 0) return `has ${live.length} sessions`;
  // A router that acknowledges a rate and does not set it can't be found out by RADIUS; its evidence says so.
  if (!session.isLiedAbout && session.rate !== (line.rate ?? undefined)) {
    return `has the rate ${session.rate ?? 'none'} instead of ${line.rate ?? 'none'}`;
  }
  if (session.list !== (line.list ?? undefined)) return `is on the list ${session.list ?? 'none'}`;
  if (session.pool !== (line.pool ?? undefined)) return `has an address of ${session.pool ?? 'no pool'}`;
  return undefined;
}
