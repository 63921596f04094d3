import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { doneBefore } from '../db/done-before.ts';
import { isDuplicate, type Trx } from '../db/knex.ts';
import { catalogIdByName, catalogNames, type CatalogTable, insertCatalogRow } from '../db/packages.ts';
import { AppError, invalid } from '../errors.ts';

export interface NewRow {
  table: CatalogTable;
  name: string;
  row: Record<string, string | number | boolean | null>;
}

/** Inserts a named row of the catalogue with its activity. The same request again gives the same id. */
export async function addNamedRow(
  ctx: CommandContext,
  trx: Trx,
  wanted: NewRow,
): Promise<{ id: string; isNew: boolean }> {
  const verb = `${wanted.table}.add`;
  let id: string;
  try {
    id = await insertCatalogRow(trx, wanted.table, wanted.row);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const existing = await catalogIdByName(trx, wanted.table, wanted.name);
    const isOurs =
      existing !== undefined &&
      (await doneBefore(trx, { correlationId: ctx.correlationId, verb, subjectId: existing }));
    if (isOurs) return { id: existing, isNew: false };
    throw new AppError('conflict', `name: is taken by another ${wanted.table.replaceAll('_', ' ')}`, {
      field: 'name',
    });
  }
  await recordActivity(trx, {
    at: ctx.clock.now(),
    actor: ctx.actor,
    verb,
    subject: { kind: wanted.table, id },
    correlationId: ctx.correlationId,
    diff: { after: wanted.row },
  });
  return { id, isNew: true };
}

/** The id behind a name that the input gives; where it is unknown, the error says which names there are. */
export async function requireByName(
  trx: Trx,
  table: CatalogTable,
  input: { field: string; name: string },
): Promise<string> {
  const id = await catalogIdByName(trx, table, input.name);
  if (id !== undefined) return id;
  const names = await catalogNames(trx, table);
  throw invalid(input.field, names.length === 0 ? 'there is none yet' : `must be one of ${names.join(', ')}`);
}
