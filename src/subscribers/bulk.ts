import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import {
  addBulkItems,
  beginBulkJob,
  type BulkJob,
  type BulkKind,
  deleteBulkDrafts,
  endBulkJob,
  findBulkJob,
  insertBulkDraft,
  knownSubscribers,
  recordBulkResults,
  sealBulkDraft,
  waitingBulkItems,
} from '../db/bulk-jobs.ts';
import { chunksOf, inTransaction } from '../db/knex.ts';
import { listPackages } from '../db/packages.ts';
import { abandonedWork, claimWork, keepWork, releaseWork } from '../db/work-leases.ts';
import type { SubscriberId } from '../domain/ids.ts';
import { notFound } from '../errors.ts';
import { actOnSubscriber } from './bulk-acts.ts';
import { parseBulkInput } from './bulk-input.ts';
import { sellablePackage } from './fields.ts';

/** Beyond this one act is too much to look over: the list is narrowed first. */
export const bulkMax = 100_000;

const batchSize = 40;
const atOnce = 4;
const draftKeptMs = 86_400_000;

export type BulkDraft =
  | { readonly ok: true; readonly jobId: string; readonly total: number }
  | { readonly ok: false; readonly reason: 'nobody' | 'too_many' };

/**
 * Writes down whom an act is about, for the preview. Whoever says yes to it then acts on those and nobody else, however
 * the list has changed since. Nothing is done yet.
 */
export async function draftBulk(
  ctx: CommandContext,
  wanted: {
    kind: BulkKind;
    /** How they were chosen, in words. */
    chosen: string;
    input: Record<string, unknown>;
    ids: AsyncIterable<readonly string[]>;
  },
): Promise<BulkDraft> {
  const ids: SubscriberId[] = [];
  for await (const some of wanted.ids) {
    ids.push(...(await knownSubscribers(ctx.db, some)));
    if (ids.length > bulkMax) return { ok: false, reason: 'too_many' };
  }
  if (ids.length === 0) return { ok: false, reason: 'nobody' };
  return inTransaction(ctx.db, async (trx): Promise<BulkDraft> => {
    const jobId = await insertBulkDraft(trx, {
      kind: wanted.kind,
      chosen: wanted.chosen.slice(0, 255),
      input: wanted.input,
      requestedBy: ctx.actor,
      at: ctx.clock.now(),
    });
    await addBulkItems(trx, jobId, ids);
    return { ok: true, jobId, total: await sealBulkDraft(trx, jobId) };
  });
}

export type BulkStart =
  { readonly ok: true; readonly job: BulkJob } | { readonly ok: false; readonly reason: 'begun' };

/** Says yes to a draft. Throws AppError for input that the act cannot have, before anything is begun. */
export async function startBulk(
  ctx: CommandContext,
  wanted: { jobId: string; input: Record<string, unknown> },
): Promise<BulkStart> {
  const draft = await jobOf(ctx, wanted.jobId);
  const input = parseBulkInput(draft.kind, wanted.input);
  const at = ctx.clock.now();
  const isBegun = await inTransaction(ctx.db, async (trx) => {
    if (input.package !== undefined) await sellablePackage(trx, input.package);
    const begun = await beginBulkJob(trx, draft.id, { input: { ...input }, by: ctx.actor, at });
    if (!begun) return false;
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: `bulk.${draft.kind}`,
      subject: { kind: 'bulk_job', id: draft.id },
      correlationId: correlationOf(draft.id),
      diff: { subscribers: draft.total, chosen: draft.chosen, ...input },
    });
    return true;
  });
  return isBegun ? { ok: true, job: await jobOf(ctx, draft.id) } : { ok: false, reason: 'begun' };
}

/**
 * Works at a job until it is done, cancelled or told to stop. Killed anywhere, it goes on with whoever has no outcome
 * yet: each act is a command that changes nothing when it is done again.
 */
export async function goOnWithBulk(
  ctx: CommandContext,
  jobId: string,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  const token = await claimWork(ctx.db, 'bulk_job', jobId);
  if (token === null) return;
  const job = await jobOf(ctx, jobId);
  const acting = { ...ctx, actor: job.requestedBy, correlationId: correlationOf(job.id) };
  const input = parseBulkInput(job.kind, job.input);
  try {
    while (options.signal?.aborted !== true) {
      if (!(await keepWork(ctx.db, 'bulk_job', jobId, token))) return;
      const ids = await waitingBulkItems(ctx.db, jobId, batchSize);
      if (ids.length === 0) {
        await endBulkJob(ctx.db, jobId, { state: 'done', at: ctx.clock.now() });
        return;
      }
      for (const some of chunksOf(ids, atOnce)) {
        const results = await Promise.all(
          some.map((subscriberId) => actOnSubscriber(acting, { kind: job.kind, input, subscriberId })),
        );
        await inTransaction(ctx.db, (trx) => recordBulkResults(trx, jobId, results));
      }
    }
  } finally {
    await releaseWork(ctx.db, 'bulk_job', jobId, token);
  }
}

/** Stops a job after the ones that it is at; what is done stays done. */
export async function cancelBulk(ctx: CommandContext, jobId: string): Promise<boolean> {
  const at = ctx.clock.now();
  return inTransaction(ctx.db, async (trx) => {
    if (!(await endBulkJob(trx, jobId, { state: 'cancelled', at }))) return false;
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'bulk.cancel',
      subject: { kind: 'bulk_job', id: jobId },
      correlationId: correlationOf(jobId),
    });
    return true;
  });
}

/** Goes on with jobs whose process died, and forgets drafts that nobody said yes to for a day. */
export async function resumeBulk(ctx: CommandContext): Promise<string[]> {
  await deleteBulkDrafts(ctx.db, new Date(ctx.clock.now().getTime() - draftKeptMs));
  const left = await abandonedWork(ctx.db, 'bulk_job');
  for (const id of left) await goOnWithBulk(ctx, id);
  return left;
}

/** Packages that an act can give, by name. */
export async function sellableNames(ctx: CommandContext): Promise<string[]> {
  const packages = await listPackages(ctx.db);
  return packages.filter((one) => !one.isRetired && one.billingType === 'monthly').map((one) => one.name);
}

function correlationOf(jobId: string): string {
  return `bulk-${jobId}`;
}

async function jobOf(ctx: CommandContext, id: string): Promise<BulkJob> {
  const job = await findBulkJob(ctx.db, id);
  if (job === undefined) throw notFound(`bulk job ${id}`);
  return job;
}
