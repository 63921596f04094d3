import type { Route } from '../../src/web/route.ts';

/** One address that a walk came to, and what the server said. */
export interface Step {
  readonly path: string;
  /** Asked for as htmx does. */
  readonly isPart: boolean;
  /** The route that serves it; undefined where none does. */
  readonly route: Route | undefined;
  readonly status: number;
  readonly type: string;
  readonly text: string;
  /** The page that leads there. */
  readonly from: string;
}

/** Where a walk came from that began there. */
export const theStart = 'the start';

export interface WalkOptions {
  readonly url: string;
  readonly cookies: ReadonlyMap<string, string>;
  readonly routes: readonly Route[];
  readonly starts: readonly string[];
  /** How many rows of one kind are opened: two invoices look alike. */
  readonly perRoute?: number;
  /** Called before each request, so that what it causes can be told from what others cause. */
  readonly before?: (path: string) => void;
  readonly after?: (step: Step) => Promise<void> | void;
}

/**
 * Follows every link and every part that a page loads, from `starts` on, like a patient person: each route with some of
 * its rows, and each kind of filter, order and next page once. Gives every step.
 */
export async function walk(options: WalkOptions): Promise<Step[]> {
  const waiting = options.starts.map((path) => ({ path, isPart: false, from: theStart }));
  const seen = new Map<string, number>();
  const steps: Step[] = [];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { path, isPart } = next;
    const route = routeOf(options.routes, path);
    if (seen.has(`${isPart ? 'part ' : ''}${path}`)) continue;
    seen.set(`${isPart ? 'part ' : ''}${path}`, 1);
    const kind = kindOf(path, isPart, route);
    const visits = seen.get(kind) ?? 0;
    if (visits >= (options.perRoute ?? 2)) continue;
    options.before?.(path);
    const answer = await ask(options, path, isPart);
    // A number that no row has says nothing about the page; an address that nothing serves is alike each time.
    if (answer.status < 400 || route === undefined) seen.set(kind, visits + 1);
    const step: Step = { ...next, route, ...answer };
    steps.push(step);
    await options.after?.(step);
    if (answer.type.startsWith('text/html')) waiting.push(...linksOf(answer.text, path));
  }
  return steps;
}

/** Addresses of one kind lead to the same handler with the same kinds of filters. */
function kindOf(path: string, isPart: boolean, route: Route | undefined): string {
  const { pathname, searchParams } = new URL(path, 'http://x');
  const query = [...searchParams].map(([name, value]) =>
    // A cursor and a number of ours are all alike; a word is a filter of its own.
    name === 'after' || name === 'before' || /^\d+$/.test(value) ? name : `${name}=${value}`,
  );
  return [isPart ? 'part' : 'page', route?.path ?? pathname.replaceAll(/\d+/g, ':id'), ...query.sort()].join(
    ' ',
  );
}

export function routeOf(routes: readonly Route[], path: string): Route | undefined {
  const { pathname } = new URL(path, 'http://x');
  return routes.find((route) => route.method === 'get' && patternOf(route.path).test(pathname));
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/:[A-Za-z]+/g, '[^/]+')}/?$`);
}

function linksOf(html: string, from: string): { path: string; isPart: boolean; from: string }[] {
  const found: { path: string; isPart: boolean; from: string }[] = [];
  for (const [, name = '', value = ''] of html.matchAll(/\s(href|hx-get)="([^"]*)"/g)) {
    const target = new URL(value.replaceAll('&amp;', '&').replaceAll('&#x3D;', '='), `http://x${from}`);
    if (target.host !== 'x' || target.pathname.startsWith('/assets/')) continue;
    if (value.startsWith('#')) continue;
    found.push({ path: target.pathname + target.search, isPart: name === 'hx-get', from });
  }
  return found;
}

async function ask(options: WalkOptions, path: string, isPart: boolean) {
  const response = await fetch(options.url + path, {
    redirect: 'manual',
    headers: {
      cookie: [...options.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      ...(isPart ? { 'HX-Request': 'true' } : {}),
    },
  });
  const type = response.headers.get('content-type') ?? '';
  // A file of everything is as long as the table: its first rows show what it asks the database.
  const text = type.startsWith('text/html') ? await response.text() : await beginning(response);
  return { status: response.status, type, text };
}

async function beginning(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const first = await reader?.read();
  await reader?.cancel();
  return first?.value === undefined ? '' : Buffer.from(first.value).toString();
}
