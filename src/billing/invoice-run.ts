import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { giveNumbers } from '../db/document-numbers.ts';
import {
  addToInvoiceRun,
  advanceSubscriptions,
  countDue,
  dueFacts,
  type DueSubscription,
  finishInvoiceRun,
  type InvoiceRun,
  openInvoiceRun,
  parkForInvoicing,
  readInvoiceRun,
  readTaxRates,
} from '../db/invoice-runs.ts';
import { insertInvoices, invoicedPeriods, type NewInvoice, periodKey } from '../db/invoices.ts';
import { inTransaction, isPassing, type Trx } from '../db/knex.ts';
import { type NewEntry, postEntries } from '../db/ledger.ts';
import { settleParked } from '../db/parked.ts';
import { readSettings } from '../db/settings.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { type Day, dayIn } from '../domain/day.ts';
import type { InvoiceRunId, SuspensionId } from '../domain/ids.ts';
import { decideInvoices } from '../domain/invoice.ts';
import { invoiceEntry } from '../domain/ledger.ts';
import { AppError, invalid } from '../errors.ts';
import { describeError } from '../log.ts';
import { isAboutSomebody } from './run-faults.ts';
import { inHalves, inTurn, patienceWith } from './run-turns.ts';
import { catchUpMax, type DueKey, duePages } from './invoice-run-plan.ts';
import { type Call, type MoneyDay, newCall, readMoneyDay } from './posting.ts';
import { settleSuspensions } from './settle-suspensions.ts';
import { useWallets } from './use-wallet.ts';

/** When at least so many fail together and nobody succeeds, the fault is not theirs and the run stops. */
const commonFaultMin = 10;

export interface InvoiceRunInput {
  /** Issues what is due as of this day, dated this day; not later than today. */
  readonly asOf: Day;
  /** Told after every batch. */
  readonly progress?: (at: { done: number; total: number }) => void;
  /** Asks the run to stop between two batches; started again, it goes on. */
  readonly signal?: AbortSignal;
}

export interface InvoiceRunResult extends InvoiceRun {
  readonly isResumed: boolean;
  /** What is still due after it: parked subscriptions, and periods beyond what one run catches up. */
  readonly stillDueCount: number;
}

/**
 * Issues the invoices that are due, in batches of at most 500 subscriptions, each one transaction: documents, ledger,
 * use of wallets, numbers. Run twice, in parallel, or killed and started again, it issues nothing twice and leaves no
 * gap. A subscription that fails is parked with the reason, and the run goes on. Suspended subscribers are invoiced too.
 */
export async function applyInvoiceRun(
  ctx: CommandContext,
  input: InvoiceRunInput,
): Promise<InvoiceRunResult> {
  const begun = await beginInvoiceRun(ctx, input);
  return await goOnWithInvoiceRun(ctx, begun, input);
}

/** A run that is written down; `stillDue` is what it has before it now. */
export interface BegunInvoiceRun extends InvoiceRun {
  readonly isResumed: boolean;
  readonly stillDue: number;
}

/**
 * Writes down that a run of that day is wanted, or finds the one that was never finished, and issues nothing yet. It
 * will be issued: by who called this and goes on with `goOnWithInvoiceRun`, or, should that process die, by the
 * timetable's resume.
 */
export async function beginInvoiceRun(ctx: CommandContext, input: { asOf: Day }): Promise<BegunInvoiceRun> {
  const started = newCall(ctx);
  const today = dayIn((await readSettings(ctx.db)).zone, started.at);
  if (input.asOf > today)
    throw invalid('asOf', `must not be later than ${today}: documents are not dated ahead`);
  const stillDue = await countDue(ctx.db, input.asOf);
  return { ...(await startRun(ctx, input.asOf, stillDue, started)), stillDue };
}

/**
 * Issues what a begun run has before it, and finishes it unless the signal stops it. Where another process is at the same
 * run, it waits for that one's end.
 */
export async function goOnWithInvoiceRun(
  ctx: CommandContext,
  run: BegunInvoiceRun,
  how: Pick<InvoiceRunInput, 'progress' | 'signal'> = {},
): Promise<InvoiceRunResult> {
  const isStopped = () => how.signal?.aborted === true;
  const isFinished = async () => (await readInvoiceRun(ctx.db, run.id))?.isFinished === true;
  const turn = {
    run: { kind: 'invoice', id: run.id },
    isOver: async () => isStopped() || (await isFinished()),
  } as const;
  await inTurn(ctx, turn, async () => {
    let done = 0;
    for await (const page of duePages(ctx.db, run.asOf)) {
      if (isStopped()) return;
      await applyPage(ctx, run, page);
      done += page.length;
      how.progress?.({ done, total: Math.max(run.stillDue, done) });
    }
    if (!isStopped()) await endRun(ctx, run.id);
  });
  const after = (await readInvoiceRun(ctx.db, run.id)) ?? run;
  return { ...after, isResumed: run.isResumed, stillDueCount: await countDue(ctx.db, run.asOf) };
}

async function startRun(
  ctx: CommandContext,
  asOf: Day,
  dueCount: number,
  call: Call,
): Promise<InvoiceRun & { readonly isResumed: boolean }> {
  return inTransaction(ctx.db, async (trx) => {
    const run = await openInvoiceRun(trx, { asOf, actor: ctx.actor, at: call.at, dueCount });
    await recordActivity(trx, {
      at: call.at,
      actor: ctx.actor,
      verb: run.isResumed ? 'invoice_run.resume' : 'invoice_run.start',
      subject: { kind: 'invoice_run', id: run.id },
      correlationId: ctx.correlationId,
      diff: { asOf, dueCount },
    });
    return run;
  });
}

async function endRun(ctx: CommandContext, id: InvoiceRunId): Promise<void> {
  const at = ctx.clock.now();
  await inTransaction(ctx.db, async (trx) => {
    if (!(await finishInvoiceRun(trx, id, at))) return;
    const run = await readInvoiceRun(trx, id);
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'invoice_run.finish',
      subject: { kind: 'invoice_run', id },
      correlationId: ctx.correlationId,
      diff: { issued: run?.issuedCount, parked: run?.parkedCount, totalMinor: run?.totalMinor },
    });
  });
}

/** Issues a page, isolates those that make it fail, and parks them. */
async function applyPage(ctx: CommandContext, run: InvoiceRun, page: readonly DueKey[]): Promise<void> {
  const failed = await issueOrIsolate(ctx, run, page);
  const first = failed[0];
  if (first === undefined) return;
  if (failed.length === page.length && page.length >= commonFaultMin) {
    throw new AppError(
      'unavailable',
      'no subscription of this batch could be invoiced; the run has stopped',
      {
        cause: first.error,
      },
    );
  }
  ctx.log.error('subscriptions could not be invoiced and were parked', {
    runId: run.id,
    subscriptionIds: failed.map(({ key }) => key.id),
    error: first.error,
  });
  const at = ctx.clock.now();
  await inTransaction(ctx.db, async (trx) => {
    await parkForInvoicing(
      trx,
      run.id,
      failed.map(({ key, error }) => ({ subscriptionId: key.id, reason: describeError(error).message })),
      at,
    );
    await addToInvoiceRun(trx, run.id, { done: failed.length, issued: 0, totalMinor: 0n });
  });
}

/**
 * Halves a batch that fails until the ones at fault are alone. What passes by itself (a lost connection, a lock) is no
 * fault of theirs, nor is a disk that is full: it ends the run, which is started again.
 */
async function issueOrIsolate(
  ctx: CommandContext,
  run: InvoiceRun,
  batch: readonly DueKey[],
): Promise<{ key: DueKey; error: unknown }[]> {
  try {
    await inHalves(batch, (part) => issueBatch(ctx, run, part));
    return [];
  } catch (error) {
    if (isPassing(error) || !isAboutSomebody(error)) throw error;
    const only = batch[0];
    if (only === undefined) return [];
    if (batch.length === 1) return [{ key: only, error }];
    const half = Math.ceil(batch.length / 2);
    const left = await issueOrIsolate(ctx, run, batch.slice(0, half));
    return [...left, ...(await issueOrIsolate(ctx, run, batch.slice(half)))];
  }
}

async function issueBatch(ctx: CommandContext, run: InvoiceRun, batch: readonly DueKey[]): Promise<void> {
  const call = newCall(ctx);
  const closed = await inTransaction(
    ctx.db,
    async (trx) => {
      const subscriberIds = [...new Set(batch.map((one) => one.subscriberId))];
      await lockSubscribers(trx, subscriberIds);
      const due = await dueFacts(
        trx,
        run.asOf,
        batch.map((one) => one.id),
      );
      if (due.length === 0) return [];
      const money = await readMoneyDay(trx, ctx, call);
      const invoices = await decideBatch(trx, run, due, call);
      const ids = await insertInvoices(trx, invoices, {
        series: money.settings.invoiceSeries,
        zone: money.settings.zone,
        money: money.posting.money,
        runId: run.id,
      });
      await postEntries(trx, entriesOf(invoices, ids), money.posting);
      const suspensions = await payFromWallets(trx, ctx, run, invoices, money);
      await addToInvoiceRun(trx, run.id, {
        done: due.length,
        issued: invoices.length,
        totalMinor: invoices.reduce((sum, invoice) => sum + invoice.draft.totalMinor, 0n),
      });
      await giveNumbers(trx, 'invoice', money.settings.invoiceSeries, ids);
      return suspensions;
    },
    patienceWith(batch),
  );
  if (closed.length > 0) ctx.wake('worker');
}

/** Decides under the lock, parks what cannot be decided, and moves the others on to their next period. */
async function decideBatch(
  trx: Trx,
  run: InvoiceRun,
  due: readonly DueSubscription[],
  call: Call,
): Promise<NewInvoice[]> {
  const rates = await readTaxRates(trx);
  const decided = due.map((facts) => ({
    facts,
    decision: decideInvoices(facts, rates, { asOf: run.asOf, countMax: catchUpMax }),
  }));
  const broken = decided.flatMap(({ facts, decision }) =>
    decision.ok ? [] : [{ subscriptionId: facts.id, reason: decision.problem }],
  );
  const sound = decided.flatMap(({ facts, decision }) => (decision.ok ? [{ facts, decision }] : []));
  await parkForInvoicing(trx, run.id, broken, call.at);
  await settleParked(
    trx,
    'invoice',
    sound.map(({ facts }) => facts.id),
    call.at,
  );
  await advanceSubscriptions(
    trx,
    sound.map(({ facts, decision }) => ({
      id: facts.id,
      nextPeriod: decision.next?.index ?? facts.nextPeriod + decision.invoices.length,
      nextInvoiceOn: decision.next?.start ?? null,
    })),
  );
  const invoices = sound.flatMap(({ facts, decision }) =>
    decision.invoices.map((draft) => ({
      subscriberId: facts.subscriberId,
      subscriptionId: facts.id,
      packageId: facts.packageId,
      draft,
    })),
  );
  // A period that somebody invoiced by other means is not invoiced again.
  const before = await invoicedPeriods(trx, invoices);
  return invoices.filter((one) => !before.has(periodKey(one.subscriptionId, one.draft.period.start)));
}

/** One over nothing moves no money and has no entry. */
function entriesOf(invoices: readonly NewInvoice[], ids: readonly string[]): NewEntry[] {
  return invoices.flatMap((invoice, index) =>
    invoice.draft.totalMinor === 0n
      ? []
      : [
          {
            onceKey: `invoice:${ids[index] ?? ''}`,
            entry: invoiceEntry(invoice.subscriberId, invoice.draft),
            subscriberId: invoice.subscriberId,
            effectiveOn: invoice.draft.issuedOn,
          },
        ],
  );
}

async function payFromWallets(
  trx: Trx,
  ctx: CommandContext,
  run: InvoiceRun,
  invoices: readonly NewInvoice[],
  money: MoneyDay,
): Promise<SuspensionId[]> {
  const users = await useWallets(trx, [...new Set(invoices.map((invoice) => invoice.subscriberId))], {
    effectiveOn: run.asOf,
    posting: money.posting,
  });
  if (users.length === 0) return [];
  return settleSuspensions(trx, {
    subscriberIds: users,
    at: money.posting.at,
    today: money.today,
    actor: ctx.actor,
    correlationId: ctx.correlationId,
    because: 'paid',
    priority: 'run',
  });
}
