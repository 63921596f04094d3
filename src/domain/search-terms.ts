import { canonicalIpv6, ipv4ToNumber, prefixesHolding } from './ip.ts';
import { parseMac } from './mac.ts';

/** What a text that somebody typed into the search field can be; one text is often several of them. */
export interface SearchTerms {
  /** As typed, without surrounding space; '' is nothing to search for. */
  readonly text: string;
  readonly subscriberId: string | null;
  /** A username, or the beginning of one. */
  readonly username: string | null;
  /** What a subscriber must be found under, as beginnings of terms: one of each group. Empty for no subscriber. */
  readonly prefixes: readonly (readonly string[])[];
  readonly mac: string | null;
  readonly ipv4: string | null;
  /** The address, and the prefixes of each length that hold it. */
  readonly ipv6: { readonly address: string; readonly prefixes: readonly string[] } | null;
  readonly invoice: { readonly series: string | null; readonly number: string } | null;
  /** A payment's reference, or an Acct-Session-Id: whatever is one piece. */
  readonly reference: string | null;
}

/** Reads what was typed. `#17` is a subscriber's number, `INV-17` or `17` an invoice's. Throws nothing. */
export function searchTerms(typed: string): SearchTerms {
  const text = typed.trim().replaceAll(/\s+/g, ' ').slice(0, 190);
  const mac = orNull(() => parseMac(text));
  const ipv4 = orNull(() => (ipv4ToNumber(text), text));
  const ipv6 = text.includes(':') ? orNull(() => ipv6Of(text)) : null;
  const isOnePiece = text !== '' && !text.includes(' ') && text.length <= 64;
  const subscriberId = /^#([1-9]\d{0,18})$/.exec(text)?.[1] ?? null;
  const isAddress = ipv4 !== null || ipv6 !== null;
  return {
    text,
    subscriberId,
    username: isOnePiece && /^[\x21-\x7e]+$/.test(text) && !isAddress ? text.toLowerCase() : null,
    prefixes: isAddress || mac !== null || subscriberId !== null ? [] : termPrefixes(text),
    mac,
    ipv4,
    ipv6,
    invoice: invoiceOf(text),
    reference: isOnePiece && !isAddress ? text : null,
  };
}

/**
 * The words of a text as they are stored and compared: without accents, lower-case, letters and digits only. A word
 * with something inside it (o'hara, Al-Amin) is found by the whole and by its parts.
 */
export function foldedWords(text: string): string[] {
  const folded = text
    .normalize('NFKD')
    .replaceAll(/\p{Mn}/gu, '')
    .toLowerCase();
  const words = folded.split(/\s+/).flatMap((piece) => {
    const parts = piece.split(/[^\p{L}\p{N}]+/u).filter((part) => part !== '');
    return parts.length > 1 ? [parts.join(''), ...parts] : parts;
  });
  return [...new Set(words.map((word) => [...word].slice(0, 64).join('')))];
}

/** Under which a phone number is found: all its digits, and the last nine, since people leave the country out. */
export function phoneTerms(phone: string): string[] {
  const digits = phone.replaceAll(/\D/g, '').replace(/^00/, '');
  if (digits.length < 3) return [];
  return [...new Set([digits, digits.slice(-9), digits.replace(/^0/, '')])].filter(
    (term) => term.length >= 3,
  );
}

/** Everything under which a subscriber is found. */
export function subscriberTerms(subscriber: {
  name: string;
  phone: string | null;
  usernames: readonly string[];
}): string[] {
  const phones = subscriber.phone === null ? [] : phoneTerms(subscriber.phone);
  return [...new Set([...foldedWords(subscriber.name), ...phones, ...subscriber.usernames])].sort();
}

/**
 * The beginnings of terms that a text asks for: of each piece one has to be there. A piece is a word of the name or a
 * username, so it is tried as typed and folded; a phone number is one piece, spaces or not.
 */
export function termPrefixes(text: string): string[][] {
  const phones = phonesOf(text);
  if (phones.length > 0) return [[...new Set([text.replaceAll(' ', ''), ...phones])]];
  const pieces = text.trim().split(/\s+/).slice(0, 6);
  return pieces
    .map((piece) => {
      const typed = /^[\x21-\x7e]{1,64}$/.test(piece) ? [piece.toLowerCase()] : [];
      return [...new Set([...typed, ...foldedWords(piece).slice(0, 1)])];
    })
    .filter((group) => group.length > 0);
}

function phonesOf(text: string): string[] {
  if (!/^\+?[0-9 ()/.-]{3,32}$/.test(text)) return [];
  const digits = text.replaceAll(/\D/g, '').replace(/^00/, '');
  if (digits.length < 3) return [];
  return [...new Set([digits, digits.replace(/^0/, ''), ...(digits.length > 9 ? [digits.slice(-9)] : [])])];
}

/** `INV-123`, `inv 123`, `INV-2026-123` with a series that has a dash itself, or the number alone. */
function invoiceOf(text: string): SearchTerms['invoice'] {
  const match = /^(?:([A-Za-z][A-Za-z0-9/-]{0,15}?)[- ]?)?0*([1-9]\d{0,17})$/.exec(text);
  if (match === null) return null;
  return { series: match[1] ?? null, number: match[2] ?? '' };
}

function ipv6Of(text: string): { address: string; prefixes: string[] } {
  const [written = '', length] = text.split('/');
  const address = canonicalIpv6(written);
  const shortest = length === undefined ? 128 : Number(length);
  if (!Number.isInteger(shortest) || shortest < 1 || shortest > 128) throw new RangeError('not a prefix');
  return { address, prefixes: prefixesHolding(address, Math.min(shortest, 64)) };
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
