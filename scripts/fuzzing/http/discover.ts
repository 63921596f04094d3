import type { Wire } from './wire.ts';

/** A form of a page: where it goes, and what its fields hold as they stand. */
export interface Form {
  readonly path: string;
  readonly isUpload: boolean;
  readonly fields: readonly Field[];
}

export interface Field {
  readonly name: string;
  readonly value: string;
  /** Of a select. */
  readonly options: readonly string[];
}

export interface Site {
  /** Addresses that pages lead to, queries and all. */
  readonly paths: readonly string[];
  readonly forms: readonly Form[];
}

const pagesMost = 700;
const perKind = 4;

/** Follows the links of every page from the first on, as an owner: what there is to ask for, and what to fill in. */
export async function discover(wire: Wire, cookie: string, starts: readonly string[]): Promise<Site> {
  const waiting = [...starts];
  const kinds = new Map<string, number>();
  const paths = new Set<string>();
  const forms = new Map<string, Form>();
  while (waiting.length > 0 && paths.size < pagesMost) {
    const path = waiting.shift() ?? '/';
    const kind = path.replaceAll(/\d+/g, '0').replaceAll(/(after|before)=[^&]*/g, '$1');
    const seen = kinds.get(kind) ?? 0;
    if (paths.has(path) || seen >= perKind) continue;
    kinds.set(kind, seen + 1);
    paths.add(path);
    const answer = await wire.ask(
      Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nCookie: ${cookie}\r\n\r\n`),
      false,
    );
    if (typeof answer === 'string') throw new Error(`${path} ${answer}`);
    if (!(answer.headers.get('content-type') ?? '').startsWith('text/html')) continue;
    waiting.push(...linksOf(answer.body, path));
    for (const form of formsOf(answer.body, path)) {
      const key = `${form.path.replaceAll(/\d+/g, '0')} ${form.fields.map(({ name }) => name).join(' ')}`;
      if (!forms.has(key)) forms.set(key, form);
    }
  }
  return { paths: [...paths], forms: [...forms.values()] };
}

function linksOf(html: string, from: string): string[] {
  return [...html.matchAll(/\s(?:href|hx-get)="([^"]*)"/g)].flatMap(([, value = '']) => {
    const target = new URL(decoded(value), `http://x${from}`);
    return target.host === 'x' && !target.pathname.startsWith('/assets/')
      ? [target.pathname + target.search]
      : [];
  });
}

function formsOf(html: string, from: string): Form[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)].flatMap(([, head = '', inside = '']) => {
    if (!/method="post"/i.test(head)) return [];
    const action = attribute(head, 'action') ?? from;
    const target = new URL(action === '' ? from : action, `http://x${from}`);
    const isUpload = head.includes('multipart/form-data');
    const fields = fieldsOf(inside).filter(({ name }) => name !== '_csrf');
    return [{ path: target.pathname + target.search, isUpload, fields }];
  });
}

function fieldsOf(inside: string): Field[] {
  const inputs = [...inside.matchAll(/<(?:input|button)\b([^>]*)>/g)].map(([, head = '']) => ({
    name: attribute(head, 'name') ?? '',
    value: attribute(head, 'value') ?? '',
    options: [],
  }));
  const areas = [...inside.matchAll(/<textarea\b([^>]*)>([\s\S]*?)<\/textarea>/g)].map(
    ([, head = '', text = '']) => ({
      name: attribute(head, 'name') ?? '',
      value: decoded(text),
      options: [],
    }),
  );
  const selects = [...inside.matchAll(/<select\b([^>]*)>([\s\S]*?)<\/select>/g)].map(
    ([, head = '', list = '']) => {
      const options = [...list.matchAll(/<option\b([^>]*)>/g)].map(
        ([, one = '']) => attribute(one, 'value') ?? '',
      );
      return { name: attribute(head, 'name') ?? '', value: options[0] ?? '', options };
    },
  );
  return [...inputs, ...areas, ...selects].filter(({ name }) => name !== '');
}

function attribute(head: string, name: string): string | undefined {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(head)?.[1];
  return value === undefined ? undefined : decoded(value);
}

const entities: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  '#x27': "'",
  '#x3D': '=',
  '#x60': '`',
};

function decoded(text: string): string {
  return text.replaceAll(/&([a-z]+|#x[0-9A-F]+);/gi, (whole, name: string) => entities[name] ?? whole);
}
