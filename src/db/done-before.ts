import type { Db } from './knex.ts';

/**
 * The subject that this same request has already written: what a repeated transaction finds when the answer to its
 * COMMIT was lost. Without it, a command that succeeded would answer that its own name is taken.
 */
export async function doneBefore(
  db: Db,
  request: { correlationId: string; verb: string; subjectId: string },
): Promise<boolean> {
  const row = await db('activity')
    .where({ correlation_id: request.correlationId, verb: request.verb, subject_id: request.subjectId })
    .first<{ id: string } | undefined>('id');
  return row !== undefined;
}
