import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import {
  columnName,
  delimiterOf,
  headerFaults,
  remarkColumn,
  type RowFault,
  unarmed,
} from '../domain/import-file.ts';
import { invalid } from '../errors.ts';
import type { Cells } from './import-review.ts';

const rowsMax = 50_000;
const batchSize = 500;
const recordMax = 100_000;

/** A row below the first line, with the line where it ends and what is wrong with it as a row. */
export interface RawRow {
  line: number;
  cells: Cells;
  faults: RowFault[];
  /** Why, if it has a fault, a cell may stand under another's name, a password too; null where that cannot be. */
  doubt: string | null;
}

/**
 * Takes a file of new subscribers apart, five hundred rows at a time. Throws AppError for one that cannot be read: its
 * bytes, its first line, its size. A row that cannot be read is given with that fault.
 *
 * csv-parse's own way of passing over a broken row (skip_records_with_error) loses every row behind it, since it goes on
 * as though inside of quotation marks. So the rows are read leniently, and each is looked at again.
 */
export async function* rowsOf(bytes: Buffer): AsyncGenerator<RawRow[]> {
  checkBytes(bytes);
  const firstLine = bytes.subarray(0, 4000).toString('utf8').split(/\r?\n/)[0] ?? '';
  const delimiter = delimiterOf(firstLine);
  const parser = Readable.from([bytes]).pipe(
    parse({
      bom: true,
      delimiter,
      info: true,
      raw: true,
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      max_record_size: recordMax,
    }),
  );
  let header: string[] | null = null;
  let rows: RawRow[] = [];
  let [last, total] = [1, 0];
  for await (const { record, raw, info } of readAll(parser)) {
    if (header === null) {
      const faults = headerFaults(record);
      if (faults.length > 0) throw invalid('file', faults.slice(0, 10).join(' '));
      header = record.map(columnName);
      continue;
    }
    last = Math.max(last + 1, info.lines);
    rows.push(hasStrayQuote(raw, delimiter) ? brokenRow(last) : rowFrom(header, record, last));
    if (++total > rowsMax) throw invalid('file', `has more than ${rowsMax} rows: split it`);
    if (rows.length >= batchSize) {
      yield rows;
      rows = [];
    }
  }
  if (header === null) throw invalid('file', 'has no first line with the names of its columns');
  yield rows;
}

function checkBytes(bytes: Buffer): void {
  if (bytes.length === 0) throw invalid('file', 'is empty');
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw invalid('file', 'is UTF-16: save it as CSV UTF-8');
  if (bytes.includes(0)) throw invalid('file', 'is not a text file: save the sheet as CSV UTF-8');
}

interface Read {
  record: string[];
  raw: string;
  info: { lines: number };
}

async function* readAll(parser: AsyncIterable<unknown>): AsyncGenerator<Read> {
  try {
    for await (const one of parser) yield one as Read;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // The other fault that is left is a row of more than a row can be, which has the same cause.
    throw invalid('file', 'has a quotation mark that is never closed');
  }
}

/** Whether a quotation mark is left when every cell that is in quotation marks is taken out. */
function hasStrayQuote(raw: string, delimiter: string): boolean {
  if (!raw.includes('"')) return false;
  const whole = new RegExp(`(?<=^|[${delimiter}\\r\\n\ufeff])"(?:[^"]|"")*"(?=$|[${delimiter}\\r\\n])`, 'g');
  return raw.replaceAll(whole, '').includes('"');
}

/** Nothing of it is kept: where its cells are cannot be told, and one is a password. */
function brokenRow(line: number): RawRow {
  const rule = 'has a quotation mark out of place, so that it cannot be read';
  return { line, cells: { name: '' }, faults: [{ column: 'name', rule }], doubt: null };
}

function rowFrom(header: readonly string[], record: readonly string[], line: number): RawRow {
  const cells = Object.fromEntries(header.map((name, index) => [name, record[index] ?? '']));
  // A file of ours that comes back: there a password too was armed when it was written.
  if (header.includes(remarkColumn)) cells['password'] = unarmed(cells['password'] ?? '');
  const more = record.slice(header.length).filter((cell) => cell.trim() !== '');
  const faults =
    more.length === 0
      ? []
      : [
          {
            column: header.at(-1) ?? '',
            rule: `is followed by ${more.length} cells too many: is a comma not in quotation marks?`,
          },
        ];
  return { line, cells, faults, doubt: doubtOf(header, record) };
}

function doubtOf(header: readonly string[], record: readonly string[]): string | null {
  if (record.length < header.length)
    return 'has fewer cells than the first line: is a line break not in quotation marks?';
  if (record.length > header.length) return 'has more cells than the first line';
  return record.some((cell) => /[\r\n]/.test(cell))
    ? 'has a line break in a cell: is a quotation mark out of place?'
    : null;
}
