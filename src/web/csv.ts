import { stringify } from 'csv-stringify';
import { pipeline } from 'node:stream/promises';
import { armed } from '../domain/import-file.ts';
import type { Page } from './page.ts';

/** How our files are written; the import takes the apostrophe off again that disarms a formula. */
export const csvFormat = { escape_formulas: true, cast: { string: armed } } as const;

/**
 * Sends rows as CSV while they are read, so that a million rows need no memory. With a byte order mark, because
 * spreadsheets take UTF-8 for something else without it, and with formulas disarmed.
 */
export async function sendCsv(
  page: Page,
  name: string,
  columns: readonly string[],
  rows: AsyncIterable<readonly string[]>,
): Promise<void> {
  page.res.status(200).set({
    'Content-Type': 'text/csv; charset=utf-8',
    'Content-Disposition': `attachment; filename="${name}.csv"`,
  });
  page.res.write('\uFEFF');
  const csv = stringify({ ...csvFormat, header: true, columns: [...columns] });
  await pipeline(rows, csv, page.res);
}
