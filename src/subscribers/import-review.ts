import type { z } from 'zod';
import { poolSpans, type PoolSpan, takenBefore } from '../db/imports.ts';
import type { Db } from '../db/knex.ts';
import { listBillingProfiles, listPackages, type PackageRow } from '../db/packages.ts';
import { readSettings } from '../db/settings.ts';
import { cellFault, importColumns, readCell, type RowFault } from '../domain/import-file.ts';
import { ipv4ToNumber } from '../domain/ip.ts';
import { parseMinor } from '../domain/money.ts';
import { dayIn, type Day } from '../domain/day.ts';
import { AppError } from '../errors.ts';
import { checkAnchor, newSubscriberSchema } from './register.ts';

export type NewSubscriber = z.input<typeof newSubscriberSchema>;

/** The cells of a row by column, as they were typed. */
export type Cells = Readonly<Record<string, string>>;

export interface Reviewer {
  /** What is wrong with each row: everything at once, so that a file is mended once. */
  review(rows: readonly { line: number; cells: Cells }[]): Promise<RowFault[][]>;
}

/**
 * Looks rows over before anything is imported, by the rules of the command that will import them, and for what only a
 * whole file shows: a name or an address that is in it twice. It remembers what it saw, so that a file can come in parts.
 */
export async function createReviewer(db: Db, now: Date): Promise<Reviewer> {
  const { exponent, zone } = await readSettings(db);
  const known: Known = {
    packages: await listPackages(db),
    profiles: new Set((await listBillingProfiles(db)).map((profile) => profile.name)),
    spans: await poolSpans(db),
    exponent,
    today: dayIn(zone, now),
  };
  const seen = {
    username: new Map<string, number>(),
    staticIpv4: new Map<string, number>(),
    delegatedIpv6Prefix: new Map<string, number>(),
  };
  return {
    async review(rows) {
      const looked = rows.map((row) => ({ line: row.line, ...look(row.cells, known) }));
      const listed = (name: 'username' | 'staticIpv4' | 'delegatedIpv6Prefix') =>
        looked.flatMap(({ parsed }) => parsed[name] ?? []);
      const taken = await takenBefore(db, {
        usernames: listed('username'),
        addresses: listed('staticIpv4'),
        prefixes: listed('delegatedIpv6Prefix'),
      });
      return looked.map(({ line, faults, parsed }) => {
        const more = [...faults];
        const once = (name: keyof typeof seen, column: string, isTaken: boolean, rule: string) => {
          const value = parsed[name];
          if (value === undefined) return;
          const before = seen[name].get(value);
          if (isTaken) more.push({ column, rule });
          else if (before !== undefined)
            more.push({ column, rule: `is in line ${before} of this file already` });
          else seen[name].set(value, line);
        };
        const { username = '', staticIpv4 = '', delegatedIpv6Prefix = '' } = parsed;
        once(
          'username',
          'username',
          taken.usernames.has(username),
          'has been given before, and a username is never given twice',
        );
        once('staticIpv4', 'static_ipv4', taken.addresses.has(staticIpv4), 'belongs to another login');
        once(
          'delegatedIpv6Prefix',
          'delegated_ipv6_prefix',
          taken.prefixes.has(delegatedIpv6Prefix),
          'belongs to another login',
        );
        return more;
      });
    },
  };
}

interface Known {
  packages: readonly PackageRow[];
  profiles: ReadonlySet<string>;
  spans: readonly PoolSpan[];
  exponent: number;
  today: Day;
}

type Unique = { username?: string; staticIpv4?: string; delegatedIpv6Prefix?: string };

function look(cells: Cells, known: Known): { faults: RowFault[]; parsed: Unique } {
  const faults: RowFault[] = [];
  for (const { column, field } of importColumns) {
    const rule = cellFault(field, readCell(field, cells[column] ?? ''));
    if (rule !== null) faults.push({ column, rule });
  }
  const { input, fault } = newSubscriberOf(cells, known.exponent);
  if (fault !== null) faults.push(fault);
  const checked = newSubscriberSchema.safeParse(input);
  const wrong = new Set<string>();
  for (const issue of checked.success ? [] : checked.error.issues) {
    const column = columnOf(String(issue.path[0] ?? ''));
    wrong.add(String(issue.path[0] ?? ''));
    if (!faults.some((one) => one.column === column)) faults.push({ column, rule: issue.message });
  }
  if (checked.success && checked.data.anchorOn !== undefined) {
    const rule = anchorFault(checked.data.anchorOn, known.today);
    if (rule !== null) faults.push({ column: 'first_billed_day', rule });
  }
  faults.push(...catalogueFaults(input, wrong, known));
  const parsed: Unique = {};
  for (const name of ['username', 'staticIpv4', 'delegatedIpv6Prefix'] as const) {
    const value = wrong.has(name) ? undefined : canonical(name, input);
    if (value !== undefined) parsed[name] = value;
  }
  return { faults, parsed };
}

function anchorFault(anchorOn: Day, today: Day): string | null {
  try {
    checkAnchor(anchorOn, today);
    return null;
  } catch (error) {
    if (error instanceof AppError) return error.message.replace(/^anchorOn: /, '');
    throw error;
  }
}

/** The spelling in which it is stored, so that `Amina` and `amina` are one name. */
function canonical(
  name: 'username' | 'staticIpv4' | 'delegatedIpv6Prefix',
  input: NewSubscriber,
): string | undefined {
  const parsed = newSubscriberSchema.shape[name].safeParse(input[name]);
  return parsed.success ? (parsed.data ?? undefined) : undefined;
}

function catalogueFaults(input: NewSubscriber, wrong: ReadonlySet<string>, known: Known): RowFault[] {
  const faults: RowFault[] = [];
  const profile = typeof input.billingProfile === 'string' ? input.billingProfile : '';
  if (profile !== '' && !known.profiles.has(profile))
    faults.push({
      column: 'billing_profile',
      rule: `must be one of ${[...known.profiles].slice(0, 20).join(', ')}`,
    });
  const offered = known.packages.find((one) => one.name === input.package);
  if (input.package !== '') {
    const sold = known.packages.filter((one) => !one.isRetired && one.billingType === 'monthly');
    if (offered === undefined)
      faults.push({
        column: 'package',
        rule: `must be one of ${sold
          .map((one) => one.name)
          .slice(0, 20)
          .join(', ')}`,
      });
    else if (offered.isRetired) faults.push({ column: 'package', rule: 'is not sold any more' });
    else if (offered.billingType !== 'monthly')
      faults.push({ column: 'package', rule: 'must be a monthly package' });
  }
  if (offered?.customerType === 'static_ip' && input.staticIpv4 === undefined)
    faults.push({
      column: 'static_ipv4',
      rule: `is missing: package ${offered.name} is for a static address`,
    });
  if (input.staticIpv4 !== undefined && !wrong.has('staticIpv4')) {
    const address = ipv4ToNumber(input.staticIpv4);
    const span = known.spans.find(({ first, last }) => first <= address && address <= last);
    if (span !== undefined)
      faults.push({ column: 'static_ipv4', rule: `lies in a range of pool ${span.pool}` });
  }
  return faults;
}

/** The input of the command for a row; an empty cell is a field that is not given. */
export function newSubscriberOf(
  cells: Cells,
  exponent: number,
): { input: NewSubscriber; fault: RowFault | null } {
  const given: Record<string, unknown> = {};
  let fault: RowFault | null = null;
  for (const { column, field, isRequired } of importColumns) {
    const text = readCell(field, cells[column] ?? '');
    if (text === '' && !isRequired) continue;
    // What is no number breaks the command's rule for it; Number() alone would take 0x10 and 1e1.
    if (field === 'simultaneousUse') given[field] = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    else if (field === 'price') {
      try {
        given['priceOverrideMinor'] = parseMinor(text, exponent);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        fault = { column, rule: error.message };
      }
    } else given[field] = text;
  }
  return { input: given as NewSubscriber, fault };
}

function columnOf(field: string): string {
  if (field === 'priceOverrideMinor') return 'price';
  return importColumns.find((one) => one.field === field)?.column ?? field;
}
