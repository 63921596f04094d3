import type { OperatorSettings } from '../db/settings.ts';
import { formatMinor } from '../domain/money.ts';

/** `1290n` as `12.90 USD`. */
export function money(amount: bigint, settings: Pick<OperatorSettings, 'currency' | 'exponent'>): string {
  return `${formatMinor(amount, settings.exponent)} ${settings.currency}`;
}

/** An instant in the operator's zone, `2026-03-01 14:05:09`. */
export function time(at: Date, zone: string): string {
  return new Intl.DateTimeFormat('sv-SE', {
    timeZone: zone,
    dateStyle: 'short',
    timeStyle: 'medium',
  }).format(at);
}

/** The wall clock alone, `14:05:09`. */
export function clockTime(at: Date, zone: string): string {
  return time(at, zone).slice(11);
}

/** `3 min ago`, `in 2 h`. */
export function ago(at: Date, now: Date): string {
  const ms = now.getTime() - at.getTime();
  return ms < 0 ? `in ${duration(-ms)}` : `${duration(ms)} ago`;
}

/** The largest unit that says enough: `42 s`, `3 min`, `5 h`, `12 d`. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

const accessWords: Record<string, string> = {
  full: 'full',
  throttled: 'throttled',
  walled_garden: 'walled garden',
  denied: 'denied',
};

/** `throttled to 512k/512k (invoice_overdue)`; a login that nobody has decided on yet says so. */
export function access(
  decision: { access: string | null; reason?: string | null; rate?: string | null } | undefined,
): string {
  if (decision?.access == null) return 'not decided yet';
  const rate = decision.access === 'throttled' && decision.rate != null ? ` to ${decision.rate}` : '';
  const reason = decision.reason == null ? '' : ` (${decision.reason})`;
  return `${accessWords[decision.access] ?? decision.access}${rate}${reason}`;
}

/** `1 login`, `3 logins`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}

/** Bytes with a binary unit, one decimal at most. */
export function bytes(size: bigint): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let tenths = size * 10n;
  let unit = 0;
  while (tenths >= 10_240n && unit < units.length - 1) {
    tenths /= 1024n;
    unit++;
  }
  return unit === 0 ? `${size} B` : `${tenths / 10n}.${tenths % 10n} ${units[unit] ?? ''}`;
}
