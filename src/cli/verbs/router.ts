import { addRouter, removeRouter, setRouter } from '../../network/routers.ts';
import type { RadiusServer } from '../../network/router-commands.ts';
import type { ClientEvidence } from '../../db/radius-clients.ts';
import { listRouters, type RouterSummary } from '../../db/routers.ts';
import { invalid } from '../../errors.ts';
import { ago } from '../format.ts';
import { optional } from '../optional.ts';
import { table } from '../output.ts';
import { refuse } from '../refusal.ts';
import { requireRouter } from '../routers.ts';
import { passwordOf } from '../secret.ts';
import type { Call, Option, Verb } from '../verb.ts';

const settings: Readonly<Record<string, Option>> = {
  address: { value: 'ADDRESS', about: 'the source address of its RADIUS packets, IPv4 or IPv6' },
  secret: { value: 'TEXT', about: 'shared secret; shows in the process list' },
  'secret-stdin': { about: 'reads the secret from the first line of standard input' },
  'coa-port': { value: 'PORT', about: 'where it listens for CoA and Disconnect; 3799 where it is left out' },
  'rate-change': { value: 'HOW', about: 'coa, or disconnect for a router that ignores a CoA of the rate' },
  'message-authenticator': { value: 'YES|NO', about: 'whether its requests must carry one' },
  pace: { value: 'NUMBER', about: 'packets a second to it at most' },
};

const untilTyped = 'Until the lines above are typed on the router, it and FreeRADIUS have different secrets.';

export const routerList: Verb = {
  name: 'router list',
  group: 'Network',
  summary: 'routers, whether they answer, and what FreeRADIUS has taken of them',
  details: [
    'RADIUS CLIENT says how far each FreeRADIUS host has come: waiting, in place (the file is there), loaded (FreeRADIUS has read it), heard (a valid packet came since).',
  ],
  examples: ['router list', 'router list --json'],
  async run(call) {
    const routers = await listRouters(call.app().db, { limit: 5000 });
    const now = call.clock.now();
    call.out.show(
      { ok: true, routers: routers.map(({ evidence, ...router }) => ({ ...router, clients: evidence })) },
      () =>
        routers.length === 0
          ? ['There are no routers yet; "sluice help router add" says how to add one.']
          : table(
              [
                'ROUTER',
                'ADDRESS',
                'COA',
                { title: 'SESSIONS', isRight: true },
                { title: 'WAITING', isRight: true },
                'ANSWERS',
                'RADIUS CLIENT',
              ],
              routers.map((router) => [
                router.name,
                router.address,
                router.rateChange === 'coa'
                  ? `port ${router.coaPort}`
                  : `port ${router.coaPort}, disconnects`,
                String(router.openSessions),
                String(router.waitingSessions),
                answersText(router.lane, now),
                levelsOf(router.evidence),
              ]),
            ),
    );
    return undefined;
  },
};

function answersText(lane: RouterSummary['lane'], now: Date): string {
  if (lane.breaker === 'open')
    return `no${lane.openedAt === null ? '' : `, since ${ago(lane.openedAt, now)}`}`;
  return lane.lastAnswerAt === null ? 'not asked yet' : `yes, ${ago(lane.lastAnswerAt, now)}`;
}

function levelsOf(clients: readonly ClientEvidence[]): string {
  if (clients.length === 0) return 'no agent has seen it yet';
  return clients
    .map((client) => `${client.host}: ${client.error ?? client.level.replace('_', ' ')}`)
    .join('; ');
}

export const routerAdd: Verb = {
  name: 'router add',
  group: 'Network',
  summary: 'adds a router; FreeRADIUS takes it within two seconds',
  positionals: [{ name: 'NAME' }],
  options: settings,
  details: [
    'Without a secret, one is made. The answer has the lines to type on the router; they hold the secret and are shown once.',
  ],
  examples: [
    'router add pop-north --address 192.0.2.11',
    'router add pop-south --address 2001:db8::11 --coa-port 3800',
  ],
  async run(call) {
    const added = await addRouter(
      call.context(),
      { name: call.positional('NAME'), address: call.text('address'), ...(await settingsGiven(call)) },
      radiusServerOf(call),
    );
    call.out.show({ ok: true, ...added }, () => [
      `Router ${call.positional('NAME')} is number ${added.routerId}. Type on it (shown once, they hold the secret):`,
      '',
      ...added.typeOnRouter,
    ]);
    return undefined;
  },
};

export const routerSet: Verb = {
  name: 'router set',
  group: 'Network',
  summary: 'changes a router, its secret too',
  positionals: [{ name: 'ROUTER' }],
  options: {
    ...settings,
    name: { value: 'NAME', about: 'a new name' },
    'new-secret': { about: 'makes a new secret' },
  },
  details: ['ROUTER is its name or its address.'],
  examples: ['router set pop-north --rate-change disconnect', 'router set pop-north --new-secret'],
  async run(call) {
    const router = await requireRouter(call, call.positional('ROUTER'));
    const result = await setRouter(
      call.context(),
      {
        routerId: router.id,
        ...optional('name', call.maybeText('name')),
        ...optional('address', call.maybeText('address')),
        ...(await settingsGiven(call)),
        isSecretGenerated: call.has('new-secret'),
      },
      radiusServerOf(call),
    );
    if (!result.ok) return refuse(call, result, 'The router has all of that already; nothing was changed.');
    call.out.show(result, () => [
      `Changed: ${result.changed.join(', ')}.`,
      ...(result.typeOnRouter.length === 0 ? [] : ['', ...result.typeOnRouter, '', untilTyped]),
    ]);
    return undefined;
  },
};

export const routerRemove: Verb = {
  name: 'router remove',
  group: 'Network',
  summary: 'takes a router out; its old accounting keeps its name',
  positionals: [{ name: 'ROUTER' }],
  options: {
    'with-open-sessions': {
      about: 'also when sessions are open on it: they end as stale, nobody can reach them',
    },
    'with-pool-ranges': { about: 'also when pools have ranges on it: the ranges go too' },
  },
  details: ['ROUTER is its name or its address.'],
  examples: ['router remove pop-north', 'router remove 192.0.2.11 --with-open-sessions'],
  async run(call) {
    const router = await requireRouter(call, call.positional('ROUTER'));
    const result = await removeRouter(call.context(), {
      routerId: router.id,
      isWithOpenSessions: call.has('with-open-sessions'),
      isWithPoolRanges: call.has('with-pool-ranges'),
    });
    if (!result.ok) return refuse(call, result, removalRefused(result));
    call.out.show(result, () => [
      `Router ${router.name} is removed; ${result.openSessions} open sessions and ${result.poolRanges} pool ranges went with it.`,
    ]);
    return undefined;
  },
};

function removalRefused(
  result:
    | { reason: 'already_removed' }
    | { reason: 'open_sessions'; openSessions: number }
    | { reason: 'pool_ranges'; pools: readonly string[] },
): string {
  switch (result.reason) {
    case 'already_removed':
      return 'It has been removed already.';
    case 'open_sessions':
      return `${result.openSessions} sessions are open on it; --with-open-sessions removes it all the same.`;
    case 'pool_ranges':
      return `Pools have ranges on it: ${result.pools.join(', ')}; --with-pool-ranges takes those away too.`;
  }
}

async function settingsGiven(call: Call) {
  return {
    ...optional('secret', await passwordOf(call, 'secret')),
    ...optional('coaPort', call.whole('coa-port')),
    ...optional('rateChange', call.maybeText('rate-change') as 'coa' | 'disconnect' | undefined),
    ...optional(
      'needsMessageAuthenticator',
      yesOrNo('message-authenticator', call.maybeText('message-authenticator')),
    ),
    ...optional('pacePerSecond', call.whole('pace')),
  };
}

function yesOrNo(name: string, text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (text !== 'yes' && text !== 'no') throw invalid(name, 'must be yes or no');
  return text === 'yes';
}

function radiusServerOf(call: Call): RadiusServer {
  const { freeradius } = call.app().config;
  return { address: freeradius.authAddress, authPort: freeradius.authPort, acctPort: freeradius.acctPort };
}
