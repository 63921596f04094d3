import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { dialSchema, faultSchema, InputError, parseInput, type Problem, routerSchema } from './config.ts';
import { faultKinds } from './faults.ts';
import type { Lab, Say } from './lab.ts';
import type { LabRouter } from './router.ts';

export interface Control {
  readonly port: number;
  close(): Promise<void>;
}

export interface ControlOptions {
  readonly lab: Lab;
  readonly port: number;
  readonly say: Say;
  /** Reads the configuration file again. */
  reload(): Promise<void>;
}

interface Call {
  readonly lab: Lab;
  readonly say: Say;
  readonly reload: () => Promise<void>;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

interface Answer {
  readonly status?: number;
  readonly body: unknown;
}

/** A thing that the path names and the lab does not have. */
class NotFound extends Error {}

type Handler = (call: Call, ...names: string[]) => Answer | Promise<Answer>;

const bodyMax = 1 << 20;
const secretSchema = z.strictObject({ secret: z.string().min(1).max(128) });
const rebootSchema = z.strictObject({
  keepsCounter: z.boolean().optional(),
  isSilent: z.boolean().optional(),
});
const octets = z
  .int()
  .min(0)
  .max(2 ** 50);
const trafficSchema = z.strictObject({
  inputOctets: octets.default(0),
  outputOctets: octets.default(0),
  isIdle: z.boolean().optional(),
});
const accountSchema = z.strictObject({ status: z.enum(['Start', 'Interim-Update', 'Stop']) });
const emptySchema = z.strictObject({});
const limitSchema = z.coerce.number().int().min(1).max(1000).default(100);
const kindSchema = z.enum(faultKinds);

const routes: readonly [string, RegExp, Handler][] = [
  ['GET', /^\/routers$/, ({ lab }) => ({ body: lab.routers().map(routerView) })],
  ['POST', /^\/routers$/, addRouter],
  ['GET', /^\/routers\/([^/]+)$/, ({ lab }, name) => ({ body: routerView(routerOf(lab, name)) })],
  ['PATCH', /^\/routers\/([^/]+)$/, changeRouter],
  ['DELETE', /^\/routers\/([^/]+)$/, removeRouter],
  ['GET', /^\/routers\/([^/]+)\/sessions$/, ({ lab }, name) => ({ body: routerOf(lab, name).sessions() })],
  ['GET', /^\/routers\/([^/]+)\/ended$/, ({ lab }, name) => ({ body: routerOf(lab, name).endedSessions() })],
  ['GET', /^\/routers\/([^/]+)\/packets$/, packets],
  ['POST', /^\/routers\/([^/]+)\/dial$/, dial],
  ['POST', /^\/routers\/([^/]+)\/reboot$/, reboot],
  ['GET', /^\/routers\/([^/]+)\/faults$/, ({ lab }, name) => ({ body: routerOf(lab, name).faults.list() })],
  ['POST', /^\/routers\/([^/]+)\/faults$/, setFault],
  ['DELETE', /^\/routers\/([^/]+)\/faults$/, clearFaults],
  ['DELETE', /^\/routers\/([^/]+)\/faults\/([^/]+)$/, clearFault],
  ['GET', /^\/routers\/([^/]+)\/sessions\/([^/]+)$/, session],
  ['POST', /^\/routers\/([^/]+)\/sessions\/([^/]+)\/hang-up$/, hangUp],
  ['POST', /^\/routers\/([^/]+)\/sessions\/([^/]+)\/traffic$/, traffic],
  ['POST', /^\/routers\/([^/]+)\/sessions\/([^/]+)\/account$/, account],
  ['GET', /^\/sessions$/, ({ lab, query }) => ({ body: lab.sessions(query.get('username') ?? undefined) })],
  ['GET', /^\/subscribers$/, ({ lab }) => ({ body: lab.subscribers() })],
  ['POST', /^\/subscribers\/([^/]+)\/dial$/, switchOn],
  ['POST', /^\/subscribers\/([^/]+)\/hang-up$/, switchOff],
  ['POST', /^\/reload$/, reload],
];

/** The lab's HTTP API, on 127.0.0.1 only: whoever may open a socket here may already do worse. */
export function openControl(options: ControlOptions): Promise<Control> {
  const server = createServer((request, response) => {
    void answer(request, options).then(
      ({ status = 200, body }) => send(response, status, body),
      (error: unknown) => sendError(response, error, options.say),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new InputError([
          { field: 'control.port', rule: `${options.port} cannot be bound (${error.code ?? 'unknown'})` },
        ]),
      ),
    );
    server.listen(options.port, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : options.port;
      resolve({ port, close: () => closeServer(server) });
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(request: IncomingMessage, options: ControlOptions): Promise<Answer> {
  // A page in somebody's browser must not reach the lab under another name.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? '')) {
    throw new InputError([{ field: 'Host', rule: 'must be 127.0.0.1 or localhost' }]);
  }
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const found = routes.filter(([, path]) => path.test(url.pathname));
  if (found.length === 0) throw new NotFound('path');
  const [, path, handler] = found.find(([method]) => method === request.method) ?? [];
  if (path === undefined || handler === undefined) {
    return { status: 405, body: { error: 'method', allowed: found.map(([method]) => method) } };
  }
  const names = (path.exec(url.pathname) ?? []).slice(1).map(decoded);
  const body = request.method === 'GET' || request.method === 'DELETE' ? {} : await readBody(request);
  const { lab, say } = options;
  return handler({ lab, say, reload: () => options.reload(), query: url.searchParams, body }, ...names);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new InputError([{ field: 'path', rule: 'is not percent-encoded UTF-8' }]);
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyMax) throw new InputError([{ field: 'body', rule: `at most ${bodyMax} bytes` }]);
    chunks.push(chunk);
  }
  if (length === 0) return {};
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) {
    throw new InputError([{ field: 'Content-Type', rule: 'must be application/json' }]);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new InputError([{ field: 'body', rule: 'is not JSON' }]);
  }
}

function sendError(response: ServerResponse, error: unknown, say: Say): void {
  if (error instanceof InputError) {
    const errors: readonly Problem[] = error.problems;
    send(response, 400, { errors });
  } else if (error instanceof NotFound) {
    send(response, 404, { error: `no such ${error.message}` });
  } else {
    say('control failed', { error: error instanceof Error ? error.message : 'unknown' });
    send(response, 500, { error: 'the lab failed; see its log' });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

function routerOf(lab: Lab, name: string | undefined): LabRouter {
  const router = lab.router(name ?? '');
  if (router === undefined) throw new NotFound('router');
  return router;
}

function routerView(router: LabRouter) {
  return {
    name: router.name,
    address: router.address,
    coaPort: router.coaPort,
    pools: router.poolNames(),
    faults: router.faults.list(),
    counters: router.counters(),
  };
}

async function addRouter({ lab, body }: Call): Promise<Answer> {
  return { status: 201, body: routerView(await lab.addRouter(parseInput(routerSchema, body))) };
}

function changeRouter({ lab, body }: Call, name = ''): Answer {
  routerOf(lab, name);
  lab.setSecret(name, parseInput(secretSchema, body).secret);
  return { body: routerView(routerOf(lab, name)) };
}

async function removeRouter({ lab }: Call, name = ''): Promise<Answer> {
  routerOf(lab, name);
  await lab.removeRouter(name);
  return { body: {} };
}

function packets({ lab, query }: Call, name = ''): Answer {
  const limit = limitSchema.safeParse(query.get('limit') ?? undefined);
  if (!limit.success) throw new InputError([{ field: 'limit', rule: 'must be 1 to 1000' }]);
  return { body: routerOf(lab, name).packets(limit.data) };
}

async function dial({ lab, body }: Call, name = ''): Promise<Answer> {
  return { body: await routerOf(lab, name).dial(parseInput(dialSchema, body)) };
}

async function reboot({ lab, body, say }: Call, name = ''): Promise<Answer> {
  const router = routerOf(lab, name);
  const { keepsCounter, isSilent } = parseInput(rebootSchema, body);
  say('router reboots', { router: name, sessions: router.counters()['sessions'] });
  const accountingOn = await router.reboot({
    keepsCounter: keepsCounter ?? false,
    isSilent: isSilent ?? false,
  });
  return { body: { accountingOn } };
}

function setFault({ lab, body, say }: Call, name = ''): Answer {
  const router = routerOf(lab, name);
  const fault = parseInput(faultSchema, body);
  router.faults.set(fault);
  say('fault set', { router: name, ...fault });
  return { status: 201, body: router.faults.list() };
}

function clearFaults({ lab, say }: Call, name = ''): Answer {
  routerOf(lab, name).faults.clear();
  say('faults cleared', { router: name });
  return { body: [] };
}

function clearFault({ lab, say }: Call, name = '', kind = ''): Answer {
  const router = routerOf(lab, name);
  const parsed = kindSchema.safeParse(kind);
  if (!parsed.success)
    throw new InputError([{ field: 'kind', rule: `must be one of ${faultKinds.join(', ')}` }]);
  router.faults.clear(parsed.data);
  say('fault cleared', { router: name, kind });
  return { body: router.faults.list() };
}

function session({ lab }: Call, name = '', key = ''): Answer {
  const found = routerOf(lab, name).session(key);
  if (found === undefined) throw new NotFound('session');
  return { body: found };
}

function hangUp({ lab, body }: Call, name = '', key = ''): Answer {
  parseInput(emptySchema, body);
  const router = routerOf(lab, name);
  if (!router.hangUp(key)) throw new NotFound('live session');
  return { body: router.session(key) };
}

/** More octets at once, and silence or not: what a subscriber does. */
function traffic({ lab, body }: Call, name = '', key = ''): Answer {
  const { inputOctets, outputOctets, isIdle } = parseInput(trafficSchema, body);
  const router = routerOf(lab, name);
  if (router.session(key) === undefined) throw new NotFound('session');
  router.addOctets(key, inputOctets, outputOctets);
  if (isIdle !== undefined) router.setIdle(key, isIdle);
  return { body: router.session(key) };
}

/** One more accounting packet of a session, live or ended. */
async function account({ lab, body }: Call, name = '', key = ''): Promise<Answer> {
  const { status } = parseInput(accountSchema, body);
  const router = routerOf(lab, name);
  if (router.session(key) === undefined) throw new NotFound('session');
  return { body: { outcome: await router.account(key, status) } };
}

function switchOn({ lab, body }: Call, username = ''): Answer {
  parseInput(emptySchema, body);
  const cpe = lab.cpe(username);
  if (cpe === undefined) throw new NotFound('subscriber');
  cpe.start(0);
  return { status: 202, body: cpe.view() };
}

function switchOff({ lab, body }: Call, username = ''): Answer {
  parseInput(emptySchema, body);
  const cpe = lab.cpe(username);
  if (cpe === undefined) throw new NotFound('subscriber');
  cpe.stop();
  return { body: cpe.view() };
}

async function reload({ reload: readAgain }: Call): Promise<Answer> {
  await readAgain();
  return { body: {} };
}
