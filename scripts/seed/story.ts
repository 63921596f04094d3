import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { approveRun, createOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { checkLedger } from '../../src/billing/ledger-check.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { promiseToPay } from '../../src/billing/promises.ts';
import type { CommandContext } from '../../src/command.ts';
import { type Invoice, openInvoicesOf } from '../../src/db/invoices.ts';
import { findPayment } from '../../src/db/payments.ts';
import { loginByUsername, type LoginRow, subscriptionsOf } from '../../src/db/subscribers.ts';
import { addDays, type Day, timeOnDay } from '../../src/domain/day.ts';
import { holdSubscription } from '../../src/subscribers/hold.ts';
import { liftSuspension } from '../../src/subscribers/lift.ts';
import { addSubscriber, addSubscription } from '../../src/subscribers/register.ts';
import { terminateSubscription } from '../../src/subscribers/terminate.ts';
import type { Person } from './cast.ts';
import type { DayPlan, PlannedPayment } from './plan.ts';

export interface Stage {
  readonly zone: string;
  /** A context whose clock stands at that instant. The correlation id makes a repeated act the same one. */
  context(at: Date, actor: string, correlationId: string): CommandContext;
}

const atOnce = 6;

/** One day of the demo ISP, through the functions that staff and timetable use. Repeated, it changes nothing. */
export async function playDay(stage: Stage, plan: DayPlan): Promise<void> {
  const at = (time: string) => timeOnDay(plan.day, time, stage.zone);
  await joinAll(stage, plan, at('09:00'));
  if (plan.hasInvoiceRun) {
    await applyInvoiceRun(stage.context(at('09:30'), 'schedule', `seed:invoices:${plan.day}`), {
      asOf: plan.day,
    });
  }
  if (plan.hasOverdueRun) await overdueRun(stage, plan.day, at('10:00'));
  await payAll(stage, plan.payments, plan.day);
  for (const person of plan.ends) {
    const ctx = stage.context(at('17:30'), 'rana', `seed:ends:${person.username}`);
    const login = await requireLogin(ctx, person.username);
    await terminateSubscription(ctx, { subscriptionId: login.subscriptionId, note: 'three months unpaid' });
  }
}

async function joinAll(stage: Stage, plan: DayPlan, at: Date): Promise<void> {
  const join = async (person: Person) => {
    const ctx = stage.context(at, 'rana', `seed:joins:${person.username}`);
    if ((await loginByUsername(ctx.db, person.username)) !== undefined) return;
    const login = {
      username: person.username,
      password: person.password,
      package: person.package,
      simultaneousUse: person.simultaneousUse ?? 1,
      ...(person.isMacLocked === true ? { macLock: person.mac } : {}),
      ...(person.staticIpv4 === undefined ? {} : { staticIpv4: person.staticIpv4 }),
      ...(person.delegatedIpv6Prefix === undefined
        ? {}
        : { delegatedIpv6Prefix: person.delegatedIpv6Prefix }),
    };
    if (person.sameSubscriberAs !== undefined) {
      const { subscriberId } = await requireLogin(ctx, person.sameSubscriberAs);
      await addSubscription(ctx, { subscriberId, ...login });
      return;
    }
    const { name, phone, street, profile: billingProfile } = person;
    await addSubscriber(ctx, { name, phone, street, billingProfile, ...login });
  };
  await each(
    plan.joins.filter((person) => person.sameSubscriberAs === undefined),
    join,
  );
  await each(
    plan.joins.filter((person) => person.sameSubscriberAs !== undefined),
    join,
  );
}

async function overdueRun(stage: Stage, day: Day, at: Date): Promise<void> {
  const ctx = stage.context(at, 'schedule', `seed:overdue:${day}`);
  const { run } = await createOverdueRun(ctx, { asOf: day, onceKey: `scheduled:${day}` });
  if (run.state === 'held') await approveRun({ ...ctx, actor: 'rana' }, { runId: run.id });
  await applyOverdueRun(ctx, { runId: run.id });
}

/** Payers of one day side by side; two of one subscriber one after the other, as the lock would have it anyway. */
async function payAll(stage: Stage, payments: readonly PlannedPayment[], day: Day): Promise<void> {
  if (payments.length === 0) return;
  const { db } = stage.context(timeOnDay(day, '11:00', stage.zone), 'rana', 'seed');
  const payers = await Promise.all(
    payments.map(async (payment) => ({ payment, login: await loginByUsername(db, payment.person.username) })),
  );
  const ids = payers.flatMap(({ login }) => (login === undefined ? [] : [login.subscriberId]));
  const open = await openInvoicesOf(db, [...new Set(ids)]);
  await each(payers, async ({ payment, login }) => {
    if (login === undefined) return;
    const amountMinor = amountOf(
      payment,
      open.filter((invoice) => invoice.subscriberId === login.subscriberId),
    );
    if (amountMinor === 0n || (await findPayment(db, payment.channel, payment.reference)) !== undefined)
      return;
    const time = `1${1 + (payment.person.number % 7)}:${String(payment.person.number % 60).padStart(2, '0')}`;
    const actor = payment.channel === 'cash' ? 'rana' : 'bank-import';
    const ctx = stage.context(timeOnDay(day, time, stage.zone), actor, `seed:pays:${payment.reference}`);
    const { subscriberId } = login;
    await recordPayment(ctx, {
      subscriberId,
      channel: payment.channel,
      reference: payment.reference,
      amountMinor,
    });
  });
}

function amountOf(payment: PlannedPayment, open: readonly Invoice[]): bigint {
  const newest = open.at(-1);
  if (newest === undefined) return 0n;
  if ('times' in payment.share) return newest.totalMinor * BigInt(payment.share.times);
  const owed = open.reduce((sum, invoice) => sum + invoice.openMinor, 0n);
  // Part payers bring a round sum.
  if (payment.share.percent < 100) return ((owed * BigInt(payment.share.percent)) / 1_000_000n) * 10_000n;
  return owed;
}

/** What staff did by hand, last of all. A refusal means that a seeding which was killed had come so far. */
export async function playActs(stage: Stage, cast: readonly Person[], now: Date, today: Day): Promise<void> {
  for (const person of cast) {
    if (person.act === undefined) continue;
    const ctx = stage.context(now, 'rana', `seed:act:${person.username}`);
    const login = await requireLogin(ctx, person.username);
    await act(ctx, person.act, login, today);
  }
  await checkLedger(stage.context(now, 'schedule', 'seed:check'));
}

async function act(
  ctx: CommandContext,
  what: NonNullable<Person['act']>,
  login: LoginRow,
  today: Day,
): Promise<void> {
  const { subscriptionId, subscriberId } = login;
  switch (what) {
    case 'hold':
      await holdSubscription(ctx, {
        subscriptionId,
        cause: 'staff',
        effect: 'block',
        note: 'router stolen, asked to wait',
      });
      return;
    case 'fraud':
      await holdSubscription(ctx, {
        subscriptionId,
        cause: 'fraud',
        effect: 'walled_garden',
        note: 'bank called the transfer back',
      });
      return;
    case 'vacation':
      await holdSubscription(ctx, {
        subscriptionId,
        cause: 'vacation',
        effect: 'block',
        note: 'away until spring',
      });
      return;
    case 'promise':
      await promiseToPay(ctx, {
        subscriberId,
        payBy: addDays(today, 5),
        note: 'salary comes at the end of the week',
      });
      return;
    case 'lift':
      await liftSuspension(ctx, {
        subscriptionId,
        cause: 'overdue',
        note: 'in hospital',
        untilOn: addDays(today, 6),
      });
      return;
    case 'terminate': {
      const [current] = await subscriptionsOf(ctx.db, { subscriptionId });
      if (current?.state !== 'terminated')
        await terminateSubscription(ctx, { subscriptionId, note: 'moved away' });
    }
  }
}

async function requireLogin(ctx: CommandContext, username: string): Promise<LoginRow> {
  const login = await loginByUsername(ctx.db, username);
  if (login === undefined) throw new Error(`the demo has no login ${username}`);
  return login;
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
