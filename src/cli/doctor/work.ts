import { readdirSync, readFileSync } from 'node:fs';
import type { App } from '../../app.ts';
import { parkedSubscriptions } from '../../db/attention.ts';
import { silentMasterPackages, undecidedLogins } from '../../db/doctor.ts';
import { type LivingProcess, livingProcesses } from '../../db/heartbeats.ts';
import { latestLedgerCheck } from '../../db/ledger-check.ts';
import { queueDepth } from '../../db/queue-depth.ts';
import { listRouters } from '../../db/routers.ts';
import { readSchedule } from '../../db/schedule.ts';
import { neededRoles } from '../../domain/attention.ts';
import { ago, count, duration } from '../format.ts';
import { broken, type Finding, look, ok, unknown } from './finding.ts';

const hour = 3_600_000;

/** Sluice's own work: processes, queue, timetable, ledger, routers, packages. */
export async function checkWork(app: App): Promise<Finding[]> {
  const living = await livingProcesses(app.db);
  return [
    ...processFindings(living),
    ...openFileFindings(app, living),
    ...(await queueFindings(app)),
    ...(await scheduleFindings(app)),
    await ledgerFinding(app),
    ...(await routerFindings(app)),
    ...(await packageFindings(app)),
  ];
}

function processFindings(living: readonly LivingProcess[]): Finding[] {
  return ['web' as const, ...neededRoles].map((role) => {
    const ours = living.filter((process) => process.role === role);
    const hosts = [...new Set(ours.map((process) => process.host))].join(', ');
    if (ours.length > 0) return ok(`process ${role}`, `${ours.length} alive on ${hosts}`);
    const found = 'none has said that it lives for half a minute';
    const start = `start it: node .build/src/main.js ${role}`;
    // Without the pages everything else goes on, and the command line does what they do.
    return role === 'web'
      ? look('process web', `${found}: nobody serves the pages`, start)
      : broken(`process ${role}`, found, start);
  });
}

/** Of processes on this host; elsewhere they cannot be seen. */
function openFileFindings(app: App, living: readonly LivingProcess[]): Finding[] {
  const here = living.filter((process) => process.host === app.config.host);
  const tight = here.flatMap((process) => {
    const use = openFilesOf(process.pid);
    return use !== undefined && use.open > use.limit * 0.8
      ? [`${process.role} has ${use.open} of ${use.limit} files open`]
      : [];
  });
  if (tight.length === 0) return [];
  return [look('open files', tight.join('; '), 'raise LimitNOFILE of the service')];
}

function openFilesOf(pid: number): { open: number; limit: number } | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1];
    return limit === undefined
      ? undefined
      : { open: readdirSync(`/proc/${pid}/fd`).length, limit: Number(limit) };
  } catch {
    // Another account's process, or gone in between.
    return undefined;
  }
}

async function queueFindings(app: App): Promise<Finding[]> {
  const depths = await queueDepth(app.db);
  const waiting = depths.reduce((sum, depth) => sum + depth.waiting, 0);
  const parked = depths.reduce((sum, depth) => sum + depth.parked, 0);
  const oldestMs = Math.max(0, ...depths.map((depth) => depth.oldestMs ?? 0));
  const undecided = await undecidedLogins(app.db);
  const set = await parkedSubscriptions(app.db, 100);
  const found = `${waiting} waiting, the oldest for ${duration(oldestMs)}`;
  return [
    oldestMs < 120_000
      ? ok('queue', found)
      : look(
          'queue',
          found,
          'a router that does not answer keeps its sessions waiting; else look at the workers',
        ),
    ...(parked === 0
      ? []
      : [broken('parked keys', `${parked} given up on`, '"sluice needs-attention" lists them')]),
    ...(set.length === 0
      ? []
      : [
          look(
            'parked subscriptions',
            `${set.length} set aside by runs`,
            '"sluice needs-attention" lists them',
          ),
        ]),
    undecided === 0
      ? ok('decisions', 'every live login has one')
      : look(
          'decisions',
          `${undecided} live logins have none yet`,
          'the worker writes them; "sluice reconcile --all" asks again',
        ),
  ];
}

async function scheduleFindings(app: App): Promise<Finding[]> {
  const now = app.clock.now();
  const rows = await readSchedule(app.db);
  if (rows.length === 0) return [broken('timetable', 'empty', 'a scheduler fills it: start it')];
  const late = rows.filter((row) => !row.isRunning && now.getTime() - row.nextDueAt.getTime() > 2 * 60_000);
  const failed = rows.filter((row) => row.lastOutcome?.startsWith('failed') === true);
  return [
    late.length === 0
      ? ok('timetable', `${rows.length} jobs, none late`)
      : broken(
          'timetable',
          late.map((row) => `${row.name} was due ${ago(row.nextDueAt, now)}`).join('; '),
          'is a scheduler running?',
        ),
    ...failed.map((row) =>
      broken(
        `job ${row.name}`,
        row.lastOutcome ?? '',
        'it is tried again every five minutes; its log says more',
      ),
    ),
  ];
}

async function ledgerFinding(app: App): Promise<Finding> {
  const check = await latestLedgerCheck(app.db);
  if (check === undefined) return look('ledger', 'never checked', 'run "sluice ledger check"');
  const now = app.clock.now();
  const found = `${check.verdict}, ${count(check.entryCount, 'entry', 'entries')}, checked ${ago(check.checkedAt, now)}`;
  if (check.verdict === 'broken') {
    return broken(
      'ledger',
      `${found}, ${count(check.findings.length, 'finding')}`,
      '"sluice ledger check" lists them; stop taking money until it is understood',
    );
  }
  return now.getTime() - check.checkedAt.getTime() > 36 * hour
    ? look('ledger', found, 'the timetable should check it each day')
    : ok('ledger', found);
}

async function routerFindings(app: App): Promise<Finding[]> {
  const routers = await listRouters(app.db, { limit: 5000 });
  const silent = routers.filter((router) => router.lane.breaker === 'open');
  if (routers.length === 0) return [look('routers', 'none yet', '"sluice help router add" says how')];
  if (silent.length === 0)
    return [ok('routers', `${count(routers.length, 'router')}, none known to be silent`)];
  return silent.map((router) =>
    broken(
      `router ${router.name}`,
      `does not answer CoA and Disconnect: ${router.lane.lastError ?? 'no error noted'}; ${router.waitingSessions} sessions wait`,
      `on the router: /radius incoming accept=yes port=${router.coaPort}; and ${app.config.radiusSourceAddress} must be the address under its /radius`,
    ),
  );
}

/** What a login's rows do not say, the router's own default profile fills in. */
async function packageFindings(app: App): Promise<Finding[]> {
  const silent = await silentMasterPackages(app.db);
  if (silent.length === 0)
    return [ok('packages', 'each master package in use names a pool and a PPP profile')];
  return [
    look(
      'packages',
      silent.map((row) => `${row.name} names no ${row.lacks.join(' and no ')}`).join('; '),
      "absent attributes fall back to the router's default profile: check it on the router, or name them",
    ),
    unknown(
      "routers' default profiles",
      'cannot be seen over RADIUS',
      'on each router: /ppp profile print detail where default',
    ),
  ];
}
