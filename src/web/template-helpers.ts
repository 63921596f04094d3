import type Handlebars from 'handlebars';
import type { AccessKind } from '../domain/access-types.ts';
import { formatMinor } from '../domain/money.ts';
import type { Assets } from './assets.ts';

/** How this operator writes times and money, and what time it is. */
export interface Formats {
  zone: string;
  currency: string;
  exponent: number;
  now: Date;
}

type Options = Handlebars.HelperOptions;
type Engine = typeof Handlebars;

/** One word, one colour and one icon for a state, everywhere. Colour never stands alone. */
const states: Record<AccessKind | 'pending' | 'unknown', { word: string; colour: string; icon: string }> = {
  full: { word: 'Full', colour: 'full', icon: 'check-circle-fill' },
  throttled: { word: 'Throttled', colour: 'throttled', icon: 'speedometer2' },
  walled_garden: { word: 'Walled garden', colour: 'walled', icon: 'bricks' },
  denied: { word: 'Denied', colour: 'denied', icon: 'x-octagon-fill' },
  pending: { word: 'Pending', colour: 'pending', icon: 'hourglass-split' },
  unknown: { word: 'Unknown', colour: 'unknown', icon: 'question-circle' },
};

export function templateHelpers(engine: Engine, assets: Assets): Record<string, Handlebars.HelperDelegate> {
  const safe = (html: string) => new engine.SafeString(html);
  const escape = (text: string) => engine.escapeExpression(text);
  return {
    /** The error of a form's field, from the page's errors; empty where there is none. */
    fieldError: (name: string, options: Options) => {
      const root = (options.data as { root: { errors?: Record<string, string> | null } }).root;
      return root.errors?.[name] ?? '';
    },
    /** What a field is called on this page, for the list of errors; a field without a label by its own name. */
    fieldLabel: (name: string, options: Options) => {
      const { fieldLabel } = options.data as { fieldLabel: (field: string) => string | undefined };
      return fieldLabel(name) ?? wordsOf(name);
    },
    asset: (name: string) => assets.url(name),
    icon: (name: string) => safe(assets.icon(name)),
    eq: (a: unknown, b: unknown) => a === b,
    not: (value: unknown) => isEmpty(value),
    or: (...values: unknown[]) => values.slice(0, -1).some((value) => !isEmpty(value)),
    and: (...values: unknown[]) => values.slice(0, -1).every((value) => !isEmpty(value)),
    json: (value: unknown) => JSON.stringify(value),
    thousands: (value: number | string) => grouped(String(value)),
    money: (minor: bigint | string, options: Options) => {
      const { exponent } = formatsOf(options);
      const amount = BigInt(minor);
      const text = grouped(formatMinor(amount < 0n ? -amount : amount, exponent));
      // Negative in parentheses, as finance reads it.
      return amount < 0n ? `(${text})` : text;
    },
    currency: (options: Options) => formatsOf(options).currency,
    state: (kind: keyof typeof states) => {
      const { word, colour, icon } = states[kind];
      return safe(`<span class="state state-${colour}">${assets.icon(icon)} ${escape(word)}</span>`);
    },
    when: (at: Date | null, options: Options) => {
      if (at === null) return safe('<span class="text-body-secondary">never</span>');
      const formats = formatsOf(options);
      const exact = exactTime(at, formats.zone);
      return safe(
        `<time datetime="${at.toISOString()}" title="${escape(exact)}">${escape(ago(at, formats.now))}</time>`,
      );
    },
    instant: (at: Date | null, options: Options) =>
      at === null ? '—' : exactTime(at, formatsOf(options).zone),
    bytes: (value: bigint | number | string) =>
      withUnit(Number(value), 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']),
    bits: (value: bigint | number | string) =>
      withUnit(Number(value), 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s']),
    duration: (seconds: number | null) => (seconds === null ? '—' : durationOf(seconds)),
  };
}

/** `throttleRate` as `Throttle rate`; of `note-k12`, one of many fields alike, the first part. */
function wordsOf(name: string): string {
  const words = (name.split('-')[0] ?? '')
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === false ||
    value === '' ||
    value === 0 ||
    (Array.isArray(value) && value.length === 0)
  );
}

function formatsOf(options: Options): Formats {
  return (options.data as { formats: Formats }).formats;
}

/** Thousands set apart by a comma; what follows the point stays. */
function grouped(text: string): string {
  const [whole = '', fraction] = text.split('.');
  const spaced = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}

/** Made once a zone: making one takes longer than the rest of a page. */
const exactFormats = new Map<string, Intl.DateTimeFormat>();

function exactTime(at: Date, zone: string): string {
  let format = exactFormats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      year: 'numeric',
      month: 'short',
      day: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'short',
    });
    exactFormats.set(zone, format);
  }
  return format.format(at);
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'always' });

/** `3 minutes ago`, `in 2 hours`, `just now`. */
export function ago(at: Date, now: Date): string {
  const seconds = Math.round((at.getTime() - now.getTime()) / 1000);
  const size = Math.abs(seconds);
  if (size < 10) return 'just now';
  const [unit, length] = (
    [
      ['second', 1],
      ['minute', 60],
      ['hour', 3600],
      ['day', 86_400],
      ['month', 2_629_800],
      ['year', 31_557_600],
    ] as const
  ).findLast(([, lengthSeconds]) => size >= lengthSeconds) ?? ['second', 1];
  return relative.format(Math.trunc(seconds / length), unit);
}

function withUnit(value: number, step: number, units: readonly string[]): string {
  let size = value;
  let index = 0;
  while (size >= step && index < units.length - 1) {
    size /= step;
    index++;
  }
  const text = index === 0 || size >= 100 ? String(Math.round(size)) : String(Math.round(size * 10) / 10);
  return `${text} ${units[index] ?? ''}`;
}

function durationOf(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
}
