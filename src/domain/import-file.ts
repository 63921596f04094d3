/** A column of the file of new subscribers, and the field that it is. */
export interface ImportColumn {
  readonly column: string;
  readonly field: string;
  readonly isRequired: boolean;
  readonly example: string;
}

const column = (name: string, field: string, example: string, isRequired = false): ImportColumn => ({
  column: name,
  field,
  isRequired,
  example,
});

export const importColumns: readonly ImportColumn[] = [
  column('name', 'name', 'Amina Haddad', true),
  column('username', 'username', 'amina', true),
  column('package', 'package', '', true),
  column('billing_profile', 'billingProfile', '', true),
  column('password', 'password', ''),
  column('phone', 'phone', '0551 234 567'),
  column('email', 'email', 'amina@example.net'),
  column('street', 'street', '5 Harbour Street'),
  column('mac_lock', 'macLock', 'AA:BB:CC:DD:EE:FF'),
  column('static_ipv4', 'staticIpv4', ''),
  column('delegated_ipv6_prefix', 'delegatedIpv6Prefix', ''),
  column('simultaneous_use', 'simultaneousUse', '1'),
  column('first_billed_day', 'anchorOn', ''),
  column('price', 'price', ''),
];

/** A column of ours in the file of bad rows; it is read over when the file comes back. */
export const remarkColumn = 'what_is_wrong';

/** What is wrong with one field of a row. */
export interface RowFault {
  readonly column: string;
  readonly rule: string;
}

const namedMost = 20;

/** What is wrong with the first line, in sentences; nothing where it can be read. */
export function headerFaults(header: readonly string[]): string[] {
  const names = header.map(columnName);
  const known = [...importColumns.map((one) => one.column), remarkColumn];
  const missing = importColumns.filter((one) => one.isRequired && !names.includes(one.column));
  // A file may have tens of thousands of columns: a few of them are enough to say so.
  const unknown = names.filter((name) => !known.includes(name)).slice(0, namedMost);
  const repeated = known.filter((name) => names.indexOf(name) !== names.lastIndexOf(name));
  return [
    ...missing.map((one) => `Column ${one.column} is missing.`),
    ...unknown.map((name) =>
      name === '' ? 'A column has no name.' : `Column ${name.slice(0, 60)} is not known.`,
    ),
    ...repeated.map((name) => `Column ${name.slice(0, 60)} is there twice.`),
  ];
}

export function columnName(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replaceAll(/[\s-]+/g, '_');
}

/** Comma, semicolon or tab: spreadsheets write the one that their language uses. */
export function delimiterOf(firstLine: string): ',' | ';' | '\t' {
  const count = (sign: string) => firstLine.split(sign).length;
  const signs = [',', ';', '\t'] as const;
  return signs.reduce((best, sign) => (count(sign) > count(best) ? sign : best));
}

/**
 * A cell as it is meant. Space around it is a slip of the hand; an apostrophe in front of a sign that spreadsheets run
 * as a formula was put there by whoever wrote the file, ourselves included. A password is taken as it is.
 */
export function readCell(field: string, text: string): string {
  if (field === 'password') return text;
  return text.replace(apostrophes, '').trim().replace(apostrophes, '');
}

/**
 * A cell as our files hold it where it begins with apostrophes and then such a sign: one apostrophe more, as the writer of
 * CSV puts one before the sign alone. So there is one way to read both.
 */
export function armed(text: string): string {
  return apostrophes.test(text) ? `'${text}` : text;
}

/** A cell of our file without the one apostrophe that was put before it, full-width signs too. */
export function unarmed(text: string): string {
  return apostrophes.test(text) ? text.slice(1) : text;
}

const apostrophes = /^'+(?=[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])/;

/** What is wrong with a cell whatever it is for: bytes that are no text, and text that a spreadsheet would run. */
export function cellFault(field: string, text: string): string | null {
  if (text.includes('\uFFFD')) return 'has bytes that are not UTF-8: save the file as CSV UTF-8';
  const isText = ['name', 'street', 'email', 'package', 'billingProfile'].includes(field);
  if (isText && /^[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text))
    return 'must not begin with = + - or @, which a spreadsheet would run as a formula';
  return null;
}
