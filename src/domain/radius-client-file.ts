import { createHash } from 'node:crypto';
import { parseRouterAddress } from './router-address.ts';

/** What FreeRADIUS knows of a router. */
export interface RadiusClient {
  /** Canonical, as parseRouterAddress() gives it; also the file's name. */
  readonly address: string;
  readonly secret: string;
  /** `r` and the router id: accounting and rejects carry it. */
  readonly shortname: string;
  readonly requireMessageAuthenticator: boolean;
}

export const secretBytes = { min: 6, max: 60 } as const;

/**
 * What is wrong with a secret, or undefined. Printable ASCII, because RouterOS has no certain encoding for more; at most
 * 60 bytes, the width of FreeRADIUS's stock `nas` table and within RouterOS's own limit; no space at the ends, which
 * nobody sees when it is typed. FreeRADIUS 3.2.1 keeps a backslash in quotes as it is, yet lets it swallow the quote
 * behind it (measured), so that a secret with one there cannot be written down. The secret is never repeated.
 */
export function secretProblem(secret: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(secret)) return 'must be printable ASCII';
  if (secret.length < secretBytes.min || secret.length > secretBytes.max) {
    return `must be ${secretBytes.min} to ${secretBytes.max} characters`;
  }
  if (secret.trim() !== secret) return 'must not begin or end with a space';
  if (/\\('|$)/.test(secret)) return "must not have a backslash at its end or before an apostrophe (')";
  return undefined;
}

/** What would make FreeRADIUS refuse the client or mistake it, or undefined. */
export function clientProblem(
  client: RadiusClient,
  reservedAddresses: readonly string[] = [],
): string | undefined {
  if (reservedAddresses.includes(client.address)) return 'address: belongs to a static client of FreeRADIUS';
  try {
    if (parseRouterAddress(client.address).text !== client.address)
      return 'address: not in its canonical form';
  } catch (error) {
    return `address: ${error instanceof Error ? error.message : 'unusable'}`;
  }
  if (!/^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(client.shortname)) return 'shortname: must be a plain word';
  const problem = secretProblem(client.secret);
  return problem === undefined ? undefined : `secret: ${problem}`;
}

/** The text of the client's file. Throws RangeError for a client that has a problem. */
export function renderClientFile(client: RadiusClient): string {
  const problem = clientProblem(client);
  if (problem !== undefined) throw new RangeError(problem);
  return [
    '# Written by the radius-agent from the table nas: a change made here is undone.',
    `client ${client.shortname} {`,
    `\t${client.address.includes(':') ? 'ipv6addr' : 'ipaddr'} = ${client.address}`,
    // Single quotes: nothing is expanded in them, not even ${...}; only an apostrophe is escaped.
    `\tsecret = '${client.secret.replaceAll("'", "\\'")}'`,
    `\tshortname = '${client.shortname}'`,
    `\trequire_message_authenticator = ${client.requireMessageAuthenticator ? 'yes' : 'no'}`,
    '}',
    '',
  ].join('\n');
}

/** Names exactly what FreeRADIUS would hold, so that two clients can be compared without their secrets. */
export function clientHash(client: RadiusClient): string {
  const fields = [client.address, client.secret, client.shortname, client.requireMessageAuthenticator];
  return createHash('sha256').update(JSON.stringify(fields)).digest('hex');
}

export type ParsedClientFile =
  { readonly ok: true; readonly client: RadiusClient } | { readonly ok: false; readonly problem: string };

/**
 * Reads a client file as FreeRADIUS would: the one client it holds, or why the file has to go. It knows more spellings
 * than renderClientFile() writes, so that files of another release are not thrown out. A secret is never repeated.
 */
export function parseClientFile(
  name: string,
  text: string,
  reservedAddresses: readonly string[] = [],
): ParsedClientFile {
  const bad = (problem: string): ParsedClientFile => ({ ok: false, problem });
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\x00-\x08\x0b-\x1f\x7f]/.test(text)) return bad('holds control characters');
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const head = /^client\s+([A-Za-z0-9._:-]+)\s*\{$/.exec(lines[0] ?? '');
  if (head?.[1] === undefined || lines.length < 2 || lines.at(-1) !== '}') {
    return bad('is not one whole client section');
  }
  const values = new Map<string, string>();
  for (const line of lines.slice(1, -1)) {
    const pair = /^([a-z0-9_]+)\s*=\s*(.+)$/.exec(line);
    const value = pair?.[2] === undefined ? undefined : unquote(pair[2]);
    if (pair?.[1] === undefined || value === undefined) return bad('has a line that is not "name = value"');
    values.set(pair[1], value);
  }
  const address = values.get('ipaddr') ?? values.get('ipv6addr') ?? '';
  if (address !== name) return bad('is not named after the address in it');
  const client: RadiusClient = {
    address,
    secret: values.get('secret') ?? '',
    shortname: values.get('shortname') ?? head[1],
    requireMessageAuthenticator: values.get('require_message_authenticator') === 'yes',
  };
  const problem = clientProblem(client, reservedAddresses);
  return problem === undefined ? { ok: true, client } : bad(problem);
}

/** The value of a bare word or a quoted text; undefined where FreeRADIUS would not read it literally. */
function unquote(text: string): string | undefined {
  const single = /^'((?:[^'\\]|\\.)*)'$/.exec(text)?.[1];
  if (single !== undefined) return single.replaceAll("\\'", "'");
  const double = /^"((?:[^"\\$]|\\.)*)"$/.exec(text)?.[1];
  if (double !== undefined) return double.replaceAll('\\"', '"');
  return /^[A-Za-z0-9._:@/-]+$/.test(text) ? text : undefined;
}
