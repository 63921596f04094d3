import { CoaClient } from '../../src/adapters/radius/coa-client.ts';
import { sessionAttributes } from '../../src/adapters/radius/packet.ts';
import type { Vault } from '../../src/adapters/vault.ts';
import { systemClock } from '../../src/clock.ts';
import { type DbAddress, sqlInstant } from '../../src/db/knex.ts';
import type { SuspensionEffect } from '../../src/domain/access-types.ts';
import type { Day } from '../../src/domain/day.ts';
import { decideEnforcement, type Enforcement } from '../../src/domain/enforcement.ts';
import { debtOf, decideOverdue, type OpenInvoice, type OverdueFacts } from '../../src/domain/overdue.ts';
import type { RadiusSettings } from '../../src/domain/radius-attributes.ts';
import { type Given, RowsOneAtATime } from './one-at-a-time-rows.ts';
import { SingleRows } from './single-rows.ts';

export interface OneAtATime {
  readonly address: DbAddress;
  readonly vault: Vault;
  readonly settings: RadiusSettings;
  readonly asOf: Day;
  readonly routerSecret: string;
  readonly coaPort: number;
  readonly routerAddress: (routerId: number) => string;
}

/** Seconds that each part took, and how many subscribers and packets there were. */
export interface OneAtATimeTotals {
  subscribers: number;
  packets: number;
  suspend: number;
  rows: number;
  send: number;
}

/**
 * The overdue run as billing systems commonly do it: a loop over debtors, each decided by the same rules, in
 * transactions of its own made of statements about one row, and each packet awaited before the next. Prepared
 * statements, the same indexes, the same durability, the same record of what was done.
 */
export async function runOneAtATime(
  parts: OneAtATime,
  subscriberIds: readonly string[],
): Promise<OneAtATimeTotals> {
  const db = await SingleRows.open(parts.address);
  const client = new CoaClient({ sourceAddress: '127.0.0.1' });
  const rows = new RowsOneAtATime({ ...parts, db });
  const totals: OneAtATimeTotals = { subscribers: 0, packets: 0, suspend: 0, rows: 0, send: 0 };
  const timed = async <T>(part: 'suspend' | 'rows' | 'send', work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await work();
    totals[part] += (performance.now() - startedAt) / 1000;
    return result;
  };
  try {
    for (const id of subscriberIds) {
      const suspended = await timed('suspend', () => db.inTransaction(() => suspend(db, id, parts.asOf)));
      if (suspended === null) continue;
      totals.subscribers += 1;
      const given = await timed('rows', () => db.inTransaction(() => rows.write(suspended)));
      totals.packets += await timed('send', () => enforce(db, client, given, parts));
    }
  } finally {
    await client.close();
    await db.close();
  }
  return totals;
}

/** The same loop over subscriptions whose package has another speed since: rows and packets of each before the next. */
export async function changeOneAtATime(
  parts: Omit<OneAtATime, 'asOf'>,
  subscriptionIds: readonly string[],
): Promise<{ rows: number; send: number; packets: number }> {
  const db = await SingleRows.open(parts.address);
  const client = new CoaClient({ sourceAddress: '127.0.0.1' });
  const rows = new RowsOneAtATime({ ...parts, db });
  const totals = { rows: 0, send: 0, packets: 0 };
  try {
    for (const id of subscriptionIds) {
      const startedAt = performance.now();
      const given = await db.inTransaction(() => rows.write(id));
      const writtenAt = performance.now();
      totals.packets += await enforce(db, client, given, parts);
      totals.rows += (writtenAt - startedAt) / 1000;
      totals.send += (performance.now() - writtenAt) / 1000;
    }
  } finally {
    await client.close();
    await db.close();
  }
  return totals;
}

/** Gives the subscription that was suspended; null where the rules leave it alone. */
async function suspend(db: SingleRows, subscriberId: string, asOf: Day): Promise<string | null> {
  await db.run('UPDATE subscriber SET version = version + 1 WHERE id = ?', [subscriberId]);
  const [subscription] = await db.all<{ id: string; state: OverdueFacts['subscriptionState'] }>(
    'SELECT id, state FROM subscription WHERE subscriber_id = ?',
    [subscriberId],
  );
  if (subscription === undefined) return null;
  const facts = await factsOf(db, subscriberId, subscription, asOf);
  const decision = decideOverdue(facts, asOf);
  if (decision.action !== 'suspend') return null;
  const at = sqlInstant(systemClock.now());
  await db.run(
    `INSERT INTO suspension (subscription_id, cause, effect, throttle_rate, opened_at, opened_by)
     VALUES (?, 'overdue', ?, ?, ?, 'loop')`,
    [subscription.id, decision.effect, decision.throttleRate, at],
  );
  await db.run(
    `INSERT INTO activity (at, actor, verb, subject_kind, subject_id, subscriber_id, correlation_id, diff, outcome)
     VALUES (?, 'loop', 'suspension.open', 'subscription', ?, ?, 'loop', ?, 'done')`,
    [at, subscription.id, subscriberId, JSON.stringify({ cause: 'overdue', effect: decision.effect })],
  );
  return subscription.id;
}

async function factsOf(
  db: SingleRows,
  subscriberId: string,
  subscription: { id: string; state: OverdueFacts['subscriptionState'] },
  asOf: Day,
): Promise<OverdueFacts> {
  const [subscriber] = await db.all<{ billing_profile_id: string }>(
    'SELECT billing_profile_id FROM subscriber WHERE id = ?',
    [subscriberId],
  );
  const [profile] = await db.all<ProfileRow>(
    'SELECT grace_days, overdue_effect, throttle_rate, is_overdue_run_on FROM billing_profile WHERE id = ?',
    [subscriber?.billing_profile_id ?? null],
  );
  if (profile === undefined) throw new Error(`subscriber ${subscriberId} has no billing profile`);
  const invoices = await db.all<{ due_on: Day; open_minor: string }>(
    "SELECT due_on, open_minor FROM invoice WHERE subscriber_id = ? AND state = 'open' AND open_minor > 0",
    [subscriberId],
  );
  const suspended = await db.all(
    "SELECT id FROM suspension WHERE subscription_id = ? AND open_cause = 'overdue'",
    [subscription.id],
  );
  const [deferral] = await db.all<{ until_on: Day | null }>(
    'SELECT MAX(until_on) AS until_on FROM deferral WHERE subscription_id = ? AND closed_at IS NULL',
    [subscription.id],
  );
  const open = invoices.map((row): OpenInvoice => ({ dueOn: row.due_on, openMinor: BigInt(row.open_minor) }));
  return {
    subscriptionState: subscription.state,
    oldestOpenDueOn: open.map(({ dueOn }) => dueOn).sort()[0] ?? null,
    debt: debtOf(open, profile.grace_days, asOf),
    isSuspendedAsOverdue: suspended.length > 0,
    deferredUntil: deferral?.until_on ?? null,
    profile: {
      graceDays: profile.grace_days,
      effect: profile.overdue_effect,
      throttleRate: profile.throttle_rate,
      isOverdueRunOn: profile.is_overdue_run_on === 1,
    },
  };
}

interface ProfileRow {
  grace_days: number;
  overdue_effect: SuspensionEffect;
  throttle_rate: string | null;
  is_overdue_run_on: number;
}

/** Sends what each open session of the login needs and waits for the answer; gives how many packets went. */
async function enforce(
  db: SingleRows,
  client: CoaClient,
  given: Given,
  parts: Pick<OneAtATime, 'routerAddress' | 'coaPort' | 'routerSecret'>,
): Promise<number> {
  const sessions = await db.all<SessionRow>(
    `SELECT radacctid, acctsessionid, framedipaddress, class, router_id FROM radacct
     WHERE username = ? AND acctstoptime IS NULL`,
    [given.facts.username],
  );
  let sent = 0;
  for (const session of sessions) {
    const enforcement = enforcementOf(session, given);
    if (enforcement.action === 'none') continue;
    const id = await recordSending(db, session, given, enforcement);
    const outcome = await client.send({
      kind: enforcement.action,
      target: {
        address: parts.routerAddress(session.router_id),
        port: parts.coaPort,
        secret: parts.routerSecret,
      },
      attributes: [
        ...sessionAttributes({
          username: given.facts.username,
          acctSessionId: session.acctsessionid,
          framedIpAddress: session.framedipaddress,
        }),
        ...(enforcement.action === 'coa' ? enforcement.attributes : []),
      ],
    });
    await db.run('UPDATE enforcement SET outcome = ?, answered_at = ?, attempts = 1 WHERE id = ?', [
      outcome.kind,
      sqlInstant(systemClock.now()),
      id,
    ]);
    sent += 1;
  }
  return sent;
}

interface SessionRow {
  radacctid: string;
  acctsessionid: string;
  framedipaddress: string;
  class: string;
  router_id: number;
}

function enforcementOf(session: SessionRow, { facts, decision, projection, generation }: Given): Enforcement {
  return decideEnforcement({
    session: {
      isOpen: true,
      class: session.class,
      startedAt: null,
      heardAt: null,
      acknowledged: null,
      unanswered: null,
      claimedGoneAt: null,
      refusedGeneration: null,
      isEnding: false,
    },
    wanted: {
      loginId: facts.loginId,
      access: decision.access.kind,
      reason: decision.reason,
      generation: BigInt(generation),
      accessFingerprint: projection.accessFingerprint,
      redialFingerprint: projection.redialFingerprint,
      since: systemClock.now(),
      coaAttributes: projection.coaAttributes,
    },
    isKicked: false,
    rateChange: 'coa',
  });
}

async function recordSending(
  db: SingleRows,
  session: SessionRow,
  { facts, decision, projection, generation }: Given,
  enforcement: Enforcement,
): Promise<string> {
  const at = sqlInstant(systemClock.now());
  return await db.run(
    `INSERT INTO enforcement (radacctid, login_id, router_id, action, why, because, generation, access_fingerprint,
       redial_fingerprint, attributes, requested_by, requested_at, sent_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'loop', ?, ?)`,
    [
      session.radacctid,
      facts.loginId,
      session.router_id,
      enforcement.action,
      decision.reason,
      enforcement.because,
      generation,
      projection.accessFingerprint,
      projection.redialFingerprint,
      JSON.stringify(enforcement.action === 'coa' ? enforcement.attributes : []),
      at,
      at,
    ],
  );
}
