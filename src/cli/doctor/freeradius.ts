import { readdir } from 'node:fs/promises';
import {
  probeLogin,
  type ProbeOutcome,
  type ProbeTarget,
  probeStatus,
} from '../../adapters/freeradius/probe.ts';
import { createRadmin } from '../../adapters/freeradius/radmin.ts';
import type { App } from '../../app.ts';
import { loginToTry, nasAddresses, newestAccounting, quietSessions } from '../../db/doctor.ts';
import { sqlInstant } from '../../db/knex.ts';
import { clientFaults } from '../../db/radius-clients.ts';
import { ago, count } from '../format.ts';
import { broken, type Finding, look, ok, unknown } from './finding.ts';

const timeoutMs = 3500;
const whereLogs = 'look at its log; is it running, and does SLUICE_RADIUS_* say where?';

/** FreeRADIUS: answers on both ports, refuses and accepts what it should, has taken the clients, keeps accounting. */
export async function checkFreeRadius(app: App): Promise<Finding[]> {
  const target = probeTarget(app);
  return [
    ...(await serverFindings(app)),
    ...(target === undefined ? [] : await loginFindings(app, target)),
    await socketFinding(app),
    ...(await clientFindings(app)),
    ...(await accountingFindings(app)),
  ];
}

/** What can be told of FreeRADIUS while the database is away: whether it runs, and what answers on its ports. */
export async function checkFreeRadiusAlone(app: App): Promise<Finding[]> {
  return [...(await serverFindings(app)), await socketFinding(app)];
}

function probeTarget(app: App): ProbeTarget | undefined {
  const { authAddress: address, authPort: port, statusSecret: secret } = app.config.freeradius;
  return secret === undefined ? undefined : { address, port, secret, timeoutMs };
}

async function serverFindings(app: App): Promise<Finding[]> {
  const target = probeTarget(app);
  if (target === undefined) {
    const advice = 'set SLUICE_RADIUS_STATUS_SECRET to the secret of its client "status"';
    return [unknown('FreeRADIUS', 'was not asked', advice)];
  }
  const { authPort, acctPort } = app.config.freeradius;
  return [
    statusFinding('FreeRADIUS, logins', authPort, await probeStatus(target)),
    statusFinding('FreeRADIUS, accounting', acctPort, await probeStatus({ ...target, port: acctPort })),
  ];
}

function statusFinding(part: string, port: number, outcome: ProbeOutcome): Finding {
  if ('ms' in outcome)
    return ok(part, `answers Status-Server on port ${port} in ${outcome.ms.toFixed(1)} ms`);
  switch (outcome.kind) {
    case 'forged':
      return broken(
        part,
        `answers on port ${port}, with another secret`,
        'SLUICE_RADIUS_STATUS_SECRET is not the secret of its client "status"',
      );
    case 'closed':
      return broken(part, `nobody has port ${port}`, whereLogs);
    case 'silent':
      return broken(
        part,
        `silent on port ${port}`,
        'is this host its client "status"? It is also silent while its database is away',
      );
  }
}

/** One that nobody has must be refused; one that should be accepted must be, which proves that rows are read. */
async function loginFindings(app: App, target: ProbeTarget): Promise<Finding[]> {
  const part = 'test login';
  const stranger = await probeLogin(target, { username: 'sluice-doctor', password: 'nobody has this' });
  const refused =
    stranger.kind === 'reject'
      ? ok(part, 'an unknown one is refused')
      : broken(
          part,
          `an unknown one is answered with: ${stranger.kind}`,
          'FreeRADIUS must refuse names it does not know; silence means that its database is away',
        );
  const login = await loginToTry(app.db);
  if (login === undefined) {
    return [
      refused,
      unknown(
        part,
        'no acceptance was tried',
        'it needs a login with full access, no MAC lock and nobody online',
      ),
    ];
  }
  let password: string;
  try {
    password = app.vault.open(`login.secret:${login.id}`, login.secret);
  } catch {
    return [refused, broken(part, `the password of ${login.username} does not open`, 'see "secrets" above')];
  }
  const known = await probeLogin(target, { username: login.username, password });
  const accepted =
    known.kind === 'accept'
      ? ok(part, `${login.username} is accepted`)
      : broken(
          part,
          `${login.username} should be accepted, and is answered with: ${known.kind}${'replyMessage' in known && known.replyMessage !== null ? ` (${known.replyMessage})` : ''}`,
          `"sluice access ${login.username}" shows its rows`,
        );
  return [refused, accepted];
}

async function socketFinding(app: App): Promise<Finding> {
  const path = app.config.freeradius.controlSocket;
  const part = 'control socket';
  if (path === undefined) {
    return unknown(
      part,
      'not configured here',
      'SLUICE_RADMIN_SOCKET says where it is, on hosts that run FreeRADIUS',
    );
  }
  const radmin = createRadmin(path, { timeoutMs: 2000 });
  const answer = await radmin.ask('show version');
  radmin.close();
  if (answer.ok) return ok(part, answer.text.trim().split('\n')[0] ?? 'answers');
  return broken(
    part,
    answer.reason,
    `${path} must exist and be open to this account; without it, "loaded" cannot be seen`,
  );
}

async function clientFindings(app: App): Promise<Finding[]> {
  const { clientDirectory, clientDirectory6 } = app.config.freeradius;
  const part = 'RADIUS clients';
  const addresses = await nasAddresses(app.db);
  const faults = await clientFaults(app.db, 20);
  const findings: Finding[] =
    faults.length === 0
      ? []
      : [
          broken(
            part,
            faults
              .map((fault) => `${fault.routerName ?? fault.routerId} on ${fault.host}: ${fault.error}`)
              .join('; '),
            'mend the router with "sluice router set"; its old client stays until then',
          ),
        ];
  if (clientDirectory === undefined) {
    return [
      ...findings,
      unknown(
        part,
        `${addresses.length} wanted; the directory is not on this host`,
        '"sluice router list" shows what each FreeRADIUS host has taken',
      ),
    ];
  }
  const files = new Set<string>();
  try {
    for (const folder of [clientDirectory, clientDirectory6]) {
      if (folder !== undefined) for (const file of await readdir(folder)) files.add(file);
    }
  } catch {
    return [
      ...findings,
      broken(part, `${clientDirectory} cannot be read`, 'does it exist, and may this account read it?'),
    ];
  }
  const missing = addresses.filter((address) => !files.has(address));
  const strange = [...files].filter((file) => !addresses.includes(file));
  if (missing.length === 0 && strange.length === 0)
    return [...findings, ok(part, `${count(files.size, 'file')} for ${count(addresses.length, 'router')}`)];
  const some = (names: readonly string[]) => names.slice(0, 5).join(', ') + (names.length > 5 ? ' …' : '');
  return [
    ...findings,
    broken(
      part,
      [
        ...(missing.length === 0 ? [] : [`no file for ${missing.length}: ${some(missing)}`]),
        ...(strange.length === 0 ? [] : [`no router for ${strange.length}: ${some(strange)}`]),
      ].join('; '),
      'is SLUICE_CLIENT_DIRECTORY the one that FreeRADIUS reads, and does a radius-agent run on this host?',
    ),
  ];
}

async function accountingFindings(app: App): Promise<Finding[]> {
  const now = app.clock.now();
  const part = 'accounting';
  const newest = await newestAccounting(app.db);
  const { quiet, open } = await quietSessions(app.db, sqlInstant(new Date(now.getTime() - 3_600_000)));
  const grants = unknown(
    "FreeRADIUS's database account",
    'its rights cannot be read with ours',
    "as the database's root: SHOW GRANTS; it should read logins, write accounting and add rejects, and nothing else",
  );
  if (newest === undefined)
    return [
      look(part, 'no session is open', 'fine before the first dial; else: do the routers send accounting?'),
      grants,
    ];
  const found = `${count(open, 'open session')}, the newest word ${ago(newest, now)}`;
  const isOld = now.getTime() - newest.getTime() > 15 * 60_000;
  return [
    isOld
      ? broken(
          part,
          found,
          'no router was heard for a quarter of an hour: is FreeRADIUS up, and is its database account allowed to write?',
        )
      : ok(part, found),
    ...(quiet === 0
      ? []
      : [
          look(
            'quiet sessions',
            `${quiet} open sessions were not heard for an hour`,
            'their routers lost Stops, or are down; they are closed at their last update',
          ),
        ]),
    grants,
  ];
}
