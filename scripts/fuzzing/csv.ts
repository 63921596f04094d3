import { stringify } from 'csv-stringify/sync';
import { type Dice, diceFor } from '../seed/random.ts';
import { importColumns, readCell, remarkColumn } from '../../src/domain/import-file.ts';
import { AppError } from '../../src/errors.ts';
import { type RawRow, rowsOf } from '../../src/subscribers/import-rows.ts';
import { csvFormat } from '../../src/web/csv.ts';
import type { Campaign, CampaignOptions } from './campaign.ts';
import { type CsvWorld, openCsvWorld, review } from './csv-world.ts';
import { randomBytes, randomText, rubbish } from './texts.ts';

/** Of the cases that are a file, one in so many is looked over by the database's rules too. */
const reviewedOneIn = 50;
/** More time of a processor than this for one file, and somebody could keep the server busy with a few of them. */
const slowMs = 4000;

const names = importColumns.map(({ column }) => column);

/** Files of subscribers, as spreadsheets and enemies write them; and files of ours, there and back. */
export const csv: Campaign = {
  name: 'csv',
  async run(options) {
    const world = await openCsvWorld();
    try {
      for (let number = options.from; number < options.from + options.cases; number++) {
        await runCase(world, number, options);
      }
    } finally {
      await world.close(options.tally);
    }
  },
};

async function runCase(world: CsvWorld, number: number, { seed, tally }: CampaignOptions): Promise<void> {
  const dice = diceFor(`${seed}/csv/${number}`);
  const found = (rule: string, about: string) => tally.found({ rule, case: number, about: `  ${about}` });
  if (dice.percent(30)) {
    tally.count('a file of ours, there and back');
    const fault = await thereAndBack(dice);
    if (fault !== null) found('a cell of our file comes back as another', fault);
    return;
  }
  const { kind, bytes } = makeFile(dice);
  const before = process.cpuUsage();
  try {
    const rows = await readAll(bytes);
    if (process.cpuUsage(before).user / 1000 > slowMs)
      found(`${kind}: takes longer than ${slowMs} ms`, described(bytes));
    for (const fault of faultsOfRows(rows)) found(fault, described(bytes));
    tally.count(`${kind}: read`);
    if (number % reviewedOneIn === 0) {
      for (const fault of await review(world, bytes, dice)) found(fault, described(bytes));
      tally.kinds.set(
        'of these, looked over in the database',
        (tally.kinds.get('of these, looked over in the database') ?? 0) + 1,
      );
    }
  } catch (error) {
    tally.count(`${kind}: refused`);
    const isNamed = error instanceof AppError && error.field === 'file' && error.message.length < 2000;
    if (!isNamed)
      found(
        `an error that is no refusal: ${error instanceof Error ? error.name : 'unknown'}`,
        `${String(error)} ${described(bytes)}`,
      );
  }
}

async function readAll(bytes: Buffer): Promise<RawRow[]> {
  const rows: RawRow[] = [];
  for await (const some of rowsOf(bytes)) {
    if (some.length > 500) throw new Error('more than five hundred rows came at once');
    rows.push(...some);
  }
  return rows;
}

function faultsOfRows(rows: readonly RawRow[]): string[] {
  const lines = new Set(rows.map(({ line }) => line));
  return [
    ...(lines.size === rows.length ? [] : ['two rows have one line number']),
    ...(rows.some(({ line }) => !Number.isInteger(line) || line < 2) ? ['a row has no line number'] : []),
    ...(rows.some(({ faults }) => faults.some(({ rule, column }) => rule === '' || column === ''))
      ? ['a fault names no column or rule']
      : []),
    ...(rows.some(({ cells }) => Object.keys(cells).some((name) => ![...names, remarkColumn].includes(name)))
      ? ['a cell of an unknown column']
      : []),
  ];
}

interface MadeFile {
  readonly kind: string;
  readonly bytes: Buffer;
}

function makeFile(dice: Dice): MadeFile {
  const roll = dice.between(0, 99);
  if (dice.between(0, 299) === 0) return { kind: 'a monster', bytes: monster(dice) };
  if (roll < 10) return { kind: 'bytes', bytes: randomBytes(dice, dice.between(0, 200)) };
  if (roll < 15) return { kind: 'text', bytes: Buffer.from(randomText(dice, dice.between(0, 300))) };
  return { kind: 'rows', bytes: asBytes(dice, rowsText(dice)) };
}

function rowsText(dice: Dice): string {
  const separator = dice.pick([',', ',', ',', ';', '\t', '|']);
  const end = dice.pick(['\n', '\n', '\r\n', '\r', '\n\n']);
  const header = dice.percent(85) ? headerOf(dice) : [...headerOf(dice), rubbish(dice)];
  const rows = Array.from({ length: dice.between(0, 6) }, () =>
    header.map((column) => cellOf(dice, column)).slice(0, dice.percent(90) ? undefined : dice.between(0, 20)),
  );
  const line = (cells: readonly string[]) => {
    const written = cells.map((cell) => quoted(dice, cell, separator));
    const bare = written.filter((cell) => !cell.startsWith('"'));
    const [breaks, splits] = [
      bare.some((cell) => /[\r\n]/.test(cell)),
      bare.some((cell) => cell.includes(separator)),
    ];
    // With a line break and a separator too many, what is left of the row may have as many cells as a row has: nobody can
    // tell then that its password stands elsewhere.
    return written.map((cell) => (breaks && splits ? cell.replace('typed-', 'lost-') : cell)).join(separator);
  };
  return [header.join(separator), ...rows.map(line)].join(end) + (dice.percent(50) ? end : '');
}

function headerOf(dice: Dice): string[] {
  const wanted = importColumns
    .filter(({ isRequired }) => isRequired || dice.percent(40))
    .map(({ column }) => column);
  const spelled = dice.percent(85)
    ? wanted
    : wanted.map((name) =>
        dice.pick([name.toUpperCase(), name.replaceAll('_', ' '), ` ${name}`, `"${name}"`]),
      );
  return dice.percent(92) ? spelled : [...spelled, dice.pick([...names, remarkColumn, ''])];
}

function cellOf(dice: Dice, column: string): string {
  if (dice.percent(35)) return rubbish(dice);
  const meant: Record<string, () => string> = {
    name: () => 'Amina Haddad',
    username: () => `u${dice.between(0, 1e9)}`,
    package: () => dice.pick(['Home 50', 'Daily', 'Static', 'Home 50 ']),
    billing_profile: () => 'block',
    price: () => dice.pick(['12.50', '0', '12,50', '1e3', '-5', '12.505', '999999999999999', '']),
    first_billed_day: () => dice.pick(['2026-03-02', '2026-02-30', '2020-01-01', '2026-3-2', '']),
    simultaneous_use: () => dice.pick(['1', '0', '255', '256', '0x10', '1e1', '-1', '1.5', '']),
    mac_lock: () => dice.pick(['AA:BB:CC:DD:EE:FF', 'aabb.ccdd.eeff', '']),
    static_ipv4: () => dice.pick(['203.0.113.7', '10.0.0.300', '']),
    password: () => `typed-${dice.between(0, 1e9)}`,
  };
  return Object.hasOwn(meant, column) ? (meant[column]?.() ?? '') : '';
}

function quoted(dice: Dice, cell: string, separator: string): string {
  if (dice.percent(3)) return `"${cell}`;
  if (dice.percent(3)) return `${cell}"`;
  const needs = /["\n\r]/.test(cell) || cell.includes(separator);
  return needs && dice.percent(95) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function asBytes(dice: Dice, text: string): Buffer {
  const roll = dice.between(0, 99);
  if (roll < 80) return Buffer.from(text);
  if (roll < 88) return Buffer.from(`\ufeff${text}`);
  if (roll < 92) return Buffer.from(text, 'latin1');
  if (roll < 94) return Buffer.from(`\ufeff${text}`, 'utf16le');
  if (roll < 96) return Buffer.from(text, 'utf16le');
  const bytes = Buffer.from(text);
  const at = dice.between(0, Math.max(0, bytes.length - 1));
  return Buffer.concat([bytes.subarray(0, at), randomBytes(dice, dice.between(0, 3)), bytes.subarray(at)]);
}

/** Rare, because each takes a while: files near their limits in every direction. */
function monster(dice: Dice): Buffer {
  const many = dice.pick([1000, 10_000, 40_000]);
  return dice.pick<() => Buffer>([
    () => Buffer.from(','.repeat(many)),
    () => Buffer.from(`${Array.from({ length: many / 4 }, (_, index) => `c${index}`).join(',')}\nx\n`),
    () => Buffer.from(`${names.join(',')}\n${'"a"b\n'.repeat(many)}`),
    () => Buffer.from(`${names.join(',')}\n${'x\n'.repeat(many)}`),
    () => Buffer.from(`${names.join(',')}\n"${'a'.repeat(many * 10)}"\n`),
    () => Buffer.from(`${names.join(',')}\n"${'""'.repeat(many)}`),
    () => Buffer.from(`${names.join(',')}\n${'\n'.repeat(many)}`),
    () => Buffer.from(`${names.join(',')}\nA${','.repeat(many)}B\n`),
    () => Buffer.from('"'.repeat(many)),
  ])();
}

/** What a page writes for a spreadsheet, and what is read of it when it is sent back. */
async function thereAndBack(dice: Dice): Promise<string | null> {
  const typed = Object.fromEntries(
    names.map((name) => [name, dice.percent(60) ? oneLine(rubbish(dice)) : '']),
  );
  typed['name'] = typed['name'] === '' ? 'Amina' : (typed['name'] ?? '');
  const header = [...names, remarkColumn];
  const text = stringify([[...names.map((name) => typed[name] ?? ''), 'line 2: wrong']], {
    ...csvFormat,
    header: true,
    columns: header,
  });
  const [row] = await readAll(Buffer.from(`\ufeff${text}`));
  for (const { column, field } of importColumns) {
    // A cell is read without space around it, a password as it is.
    const meant = readCell(field, typed[column] ?? '');
    const read = readCell(field, row?.cells[column] ?? '');
    if (read !== meant) return `${column}: ${JSON.stringify(meant)} came back as ${JSON.stringify(read)}`;
  }
  return null;
}

/** Without a NUL, which no file may hold, and with surrogates in pairs, as every text of the database is. */
function oneLine(text: string): string {
  return Buffer.from(text.replaceAll('\0', '')).toString();
}

function described(bytes: Buffer): string {
  return JSON.stringify(bytes.subarray(0, 600).toString('utf8'));
}
