import { giveUpKey, retryKey, settleParkedSubscription } from '../../network/attention.ts';
import { namesOfKeys, parkedSubscriptions } from '../../db/attention.ts';
import { fromSqlInstant } from '../../db/knex.ts';
import { clientFaults } from '../../db/radius-clients.ts';
import { needsAttention as parkedKeys } from '../../db/reconcile-queue.ts';
import { listRouters } from '../../db/routers.ts';
import { invalid } from '../../errors.ts';
import { ago } from '../format.ts';
import { table } from '../output.ts';
import { refuse } from '../refusal.ts';
import { type Call, UsageError, type Verb } from '../verb.ts';

export const needsAttention: Verb = {
  name: 'needs-attention',
  group: 'Operation',
  summary: 'what Sluice gave up on or cannot do alone',
  options: {
    retry: { value: 'ID', about: 'starts a given-up key afresh; or all' },
    'give-up': { value: 'ID', about: 'takes it off the list, with --note' },
    note: { value: 'TEXT', about: 'why' },
  },
  examples: [
    'needs-attention',
    'needs-attention --retry k12',
    'needs-attention --retry all',
    'needs-attention --give-up p3 --note "billed by hand"',
  ],
  async run(call) {
    const retry = call.maybeText('retry');
    const giveUp = call.maybeText('give-up');
    if (retry !== undefined && giveUp !== undefined)
      throw new UsageError('--give-up: cannot be given with --retry');
    if (retry !== undefined) return retryOne(call, retry);
    if (giveUp !== undefined) return giveUpOne(call, giveUp);
    return list(call);
  },
};

async function list(call: Call): Promise<number> {
  const { db } = call.app();
  const now = call.clock.now();
  const keys = await parkedKeys(db, 200);
  const names = await namesOfKeys(db, keys);
  const parked = await parkedSubscriptions(db, 200);
  const faults = await clientFaults(db, 200);
  const silent = await listRouters(db, { breaker: 'open', limit: 200 });
  const rows = [
    ...keys.map((key) => [
      `k${key.id}`,
      `${key.kind} ${names.get(`${key.kind}:${key.key}`) ?? key.key}`,
      `given up after ${key.attempts} attempts: ${key.lastError ?? 'no error noted'}`,
      ago(fromSqlInstant(key.requestedAt), now),
    ]),
    ...parked.map((row) => [
      `p${row.id}`,
      `#${row.subscriberId} ${row.subscriberName}`,
      `set aside by ${row.runKind} run ${row.runId}: ${row.reason.replaceAll('_', ' ')}`,
      ago(row.parkedAt, now),
    ]),
    ...faults.map((fault) => [
      '',
      `router ${fault.routerName ?? fault.routerId}`,
      `RADIUS client on ${fault.host}: ${fault.error}`,
      ago(fault.since, now),
    ]),
    ...silent.map((router) => [
      '',
      `router ${router.name}`,
      `does not answer CoA and Disconnect (${router.lane.lastError ?? 'no error noted'}); ${router.waitingSessions} sessions wait for it`,
      router.lane.openedAt === null ? '' : ago(router.lane.openedAt, now),
    ]),
  ];
  call.out.show({ ok: rows.length === 0, keys, parked, clientFaults: faults, silentRouters: silent }, () =>
    rows.length === 0
      ? ['Nothing needs attention.']
      : [
          ...table(['ID', 'WHAT', 'WHY', 'SINCE'], rows),
          '',
          '--retry ID starts a key (k…) afresh; --give-up ID --note TEXT takes it off the list.',
        ],
  );
  return rows.length === 0 ? 0 : 1;
}

async function retryOne(call: Call, id: string): Promise<number | undefined> {
  const ids =
    id === 'all' ? (await parkedKeys(call.app().db, 500)).map((key) => key.id) : [idOf('retry', id, 'k')];
  let retried = 0;
  for (const one of ids) if ((await retryKey(call.context(), one)).ok) retried++;
  if (retried === 0 && id !== 'all')
    return refuse(call, { ok: false, reason: 'not_there' }, `Nothing is parked under ${id}.`);
  call.out.show({ ok: true, retried }, () => [`${retried} started afresh.`]);
  return undefined;
}

async function giveUpOne(call: Call, id: string): Promise<number | undefined> {
  const note = call.text('note');
  const ctx = call.context();
  const result = id.startsWith('p')
    ? await settleParkedSubscription(ctx, idOf('give-up', id, 'p'), note)
    : await giveUpKey(ctx, idOf('give-up', id, 'k'), note);
  if (!result.ok) return refuse(call, result, `Nothing is parked under ${id}.`);
  call.out.show(result, () => [`${id} is off the list.`]);
  return undefined;
}

function idOf(option: string, text: string, letter: 'k' | 'p'): string {
  const number = new RegExp(`^${letter}?([1-9]\\d{0,18})$`).exec(text)?.[1];
  if (number === undefined) throw invalid(option, `must be an ID of the list, such as ${letter}12`);
  return number;
}
