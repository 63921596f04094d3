import { AppError } from '../errors.ts';
import { describeError } from '../log.ts';

/**
 * Whether halving can help: a rule of ours or of a table that some subscriber's data breaks (SQLSTATE classes 22, 23
 * and 45), or a row that somebody else holds for longer than we wait. A database that is gone, full, read-only or out
 * of connections is nobody's fault: parking people for it would leave thousands for a person to sort out.
 */
export function isAboutSomebody(error: unknown): boolean {
  if (error instanceof AppError || error instanceof RangeError || error instanceof TypeError) return true;
  if (!(error instanceof Error)) return false;
  const { errno, sqlState } = error as { errno?: number; sqlState?: string };
  if (errno === 1205 || errno === 1213 || errno === 1020) return true;
  return sqlState !== undefined && ['22', '23', '45'].includes(sqlState.slice(0, 2));
}

/** Never a driver's message: it holds the statement with its values. */
export function reasonOf(error: unknown): string {
  if (error instanceof AppError) return error.message.slice(0, 190);
  return describeError(error).message.slice(0, 190);
}
