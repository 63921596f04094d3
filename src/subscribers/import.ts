import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import {
  beginImportJob,
  endImportJob,
  findImportJob,
  forgetTyped,
  type ImportJob,
  type ImportResult,
  type ImportRow,
  importRows,
  insertImportJob,
  insertImportRows,
  recordImportResults,
  setImportCounts,
} from '../db/imports.ts';
import { chunksOf, inTransaction, isPassing } from '../db/knex.ts';
import { readSettings } from '../db/settings.ts';
import { abandonedWork, claimWork, keepWork, releaseWork } from '../db/work-leases.ts';
import { columnName, type RowFault } from '../domain/import-file.ts';
import { AppError, invalid, notFound } from '../errors.ts';
import { describeError } from '../log.ts';
import { generatePassword } from './fields.ts';
import { type Cells, createReviewer, newSubscriberOf } from './import-review.ts';
import { type RawRow, rowsOf } from './import-rows.ts';
import { addSubscriber } from './register.ts';

const batchSize = 40;
const atOnce = 4;
const typedMax = 7000;
const keptMs = 86_400_000;

/** What is kept of a row until it is forgotten. `made` is a password that the file left out. */
export interface TypedRow {
  readonly cells: Cells;
  readonly made: string | null;
}

/**
 * Reads a file of new subscribers and writes down each row with what is wrong with it, for somebody to look over.
 * Nobody is added yet. Throws AppError for a file that cannot be read as one: the first line, the bytes, the size.
 */
export async function reviewImport(
  ctx: CommandContext,
  file: { name: string; bytes: Buffer },
): Promise<{ jobId: string }> {
  const reviewer = await createReviewer(ctx.db, ctx.clock.now());
  return ctx.db.transaction(async (trx) => {
    const jobId = await insertImportJob(trx, {
      fileName: file.name.slice(0, 190),
      requestedBy: ctx.actor,
      at: ctx.clock.now(),
    });
    const counts = { good: 0, bad: 0 };
    for await (const rows of rowsOf(file.bytes)) {
      const reviewed = await reviewer.review(rows);
      const stored = rows.map((row, index) => {
        const faults = row.faults.length > 0 ? row.faults : withDoubt(row, reviewed[index] ?? []);
        counts[faults.length === 0 ? 'good' : 'bad']++;
        return storedRow(ctx, jobId, { ...row, faults });
      });
      await insertImportRows(trx, jobId, stored);
    }
    if (counts.good + counts.bad === 0) throw invalid('file', 'has no line below its first');
    await setImportCounts(trx, jobId, counts);
    return { jobId };
  });
}

/** A bad row whose cells are in doubt says so first: that may be all that is wrong with it. */
function withDoubt(row: RawRow, faults: readonly RowFault[]): RowFault[] {
  if (faults.length === 0 || row.doubt === null) return [...faults];
  return [{ column: 'name', rule: row.doubt }, ...faults];
}

function storedRow(ctx: CommandContext, jobId: string, row: RawRow): Omit<ImportRow, 'subscriberId'> {
  const isLong = Buffer.byteLength(JSON.stringify(row.cells)) > typedMax;
  const faults = isLong
    ? [{ column: 'name', rule: 'is in a row that is too long; its cells are cut here' }, ...row.faults]
    : row.faults;
  const cells = isLong
    ? Object.fromEntries(Object.entries(row.cells).map(([name, text]) => [name, text.slice(0, 100)]))
    : row.cells;
  const isUnsure = row.doubt !== null && faults.length > 0;
  const hasPassword = (row.cells['password'] ?? '') !== '';
  const typed: TypedRow = { cells, made: hasPassword || faults.length > 0 ? null : generatePassword() };
  return {
    line: row.line,
    state: faults.length === 0 ? 'good' : 'bad',
    typed: ctx.vault.seal(sealName(jobId, row.line), JSON.stringify(typed)),
    faults,
    username: isUnsure ? null : (row.cells['username'] ?? '').trim().toLowerCase().slice(0, 64),
  };
}

function sealName(jobId: string, line: number): string {
  return `import.row:${jobId}:${line}`;
}

/** What was typed in a row; null once it is forgotten. */
export function typedOf(ctx: CommandContext, jobId: string, row: ImportRow): TypedRow | null {
  if (row.typed.length === 0) return null;
  return JSON.parse(ctx.vault.open(sealName(jobId, row.line), row.typed)) as TypedRow;
}

/** Says yes to the good rows. False where somebody did already. */
export async function startImport(ctx: CommandContext, jobId: string): Promise<boolean> {
  const at = ctx.clock.now();
  return inTransaction(ctx.db, async (trx) => {
    const job = await findImportJob(trx, jobId);
    if (job === undefined) throw notFound(`import ${jobId}`);
    if (!(await beginImportJob(trx, jobId, { by: ctx.actor, at }))) return false;
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'subscriber.import',
      subject: { kind: 'import_job', id: jobId },
      correlationId: `import-${jobId}`,
      diff: { file: job.fileName, rows: job.good },
    });
    return true;
  });
}

/**
 * Adds the good rows of an import until it is done, cancelled or told to stop. Each row is the command that adds one
 * subscriber, under a correlation id of its own: a row that was added in a process that died is found again by it, and
 * not added twice.
 */
export async function goOnWithImport(
  ctx: CommandContext,
  jobId: string,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  const token = await claimWork(ctx.db, 'import_job', jobId);
  if (token === null) return;
  try {
    const job = await findImportJob(ctx.db, jobId);
    if (job === undefined) return;
    const { exponent } = await readSettings(ctx.db);
    while (options.signal?.aborted !== true) {
      if (!(await keepWork(ctx.db, 'import_job', jobId, token))) return;
      const rows = await importRows(ctx.db, jobId, { states: ['good'], limit: batchSize });
      if (rows.length === 0) {
        await endImportJob(ctx.db, jobId, { from: ['working'], state: 'done', at: ctx.clock.now() });
        return;
      }
      for (const some of chunksOf(rows, atOnce)) {
        const results = await Promise.all(some.map((row) => importRow(ctx, job, row, exponent)));
        await inTransaction(ctx.db, (trx) => recordImportResults(trx, jobId, results));
      }
    }
  } finally {
    await releaseWork(ctx.db, 'import_job', jobId, token);
  }
}

async function importRow(
  ctx: CommandContext,
  job: ImportJob,
  row: ImportRow,
  exponent: number,
): Promise<ImportResult> {
  const failed = (column: string, rule: string): ImportResult => ({
    line: row.line,
    state: 'failed',
    subscriberId: null,
    faults: [{ column, rule }],
  });
  try {
    const typed = typedOf(ctx, job.id, row);
    if (typed === null) return failed('name', 'was forgotten before it was imported');
    const { input } = newSubscriberOf(typed.cells, exponent);
    const acting = { ...ctx, actor: job.requestedBy, correlationId: `import-${job.id}-${row.line}` };
    const added = await addSubscriber(acting, {
      ...input,
      ...(typed.made === null ? {} : { password: typed.made }),
    });
    return { line: row.line, state: 'imported', subscriberId: added.subscriberId, faults: [] };
  } catch (error) {
    if (isPassing(error)) throw error;
    if (error instanceof AppError) {
      const field = error.field ?? 'name';
      return failed(
        columnName(field.replaceAll(/[A-Z]/g, (letter) => `_${letter}`)),
        error.message.split('\n')[0] ?? '',
      );
    }
    ctx.log.error('a row was not imported', { job: job.id, line: row.line, error: describeError(error) });
    return failed('name', 'a fault of Sluice; the log says more');
  }
}

/** Stops an import after the rows that it is at, or gives a review up. What is added stays. */
export async function cancelImport(ctx: CommandContext, jobId: string): Promise<boolean> {
  const at = ctx.clock.now();
  return endImportJob(ctx.db, jobId, { from: ['working', 'review'], state: 'cancelled', at });
}

/** Goes on with imports whose process died, and forgets what was typed a day ago: passwords are in it. */
export async function resumeImports(ctx: CommandContext): Promise<string[]> {
  const at = ctx.clock.now();
  await forgetTyped(ctx.db, new Date(at.getTime() - keptMs), at);
  const left = await abandonedWork(ctx.db, 'import_job');
  for (const id of left) await goOnWithImport(ctx, id);
  return left;
}
