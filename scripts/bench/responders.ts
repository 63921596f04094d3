import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { DbAddress } from '../../src/db/knex.ts';

/** A router that answers on its own address. */
export interface ResponderRouter {
  readonly address: string;
  readonly port: number;
  readonly secret: string;
}

/** `silent`: the packets arrive and nobody answers. `refused`: nobody listens, and the system answers with ICMP. */
export type ResponderMode = 'answer' | 'silent' | 'refused';

/** The last request about one session that was answered with an ACK. */
export interface Obeyed {
  readonly address: string;
  readonly acctSessionId: string;
  readonly kind: 'coa' | 'disconnect';
  /** Mikrotik-Rate-Limit as it came; null where there was none. */
  readonly rate: string | null;
  /** In ms since 1970, with fractions: when the first of them came in, and when its ACK went out. */
  readonly receivedAt: number;
  readonly answeredAt: number;
}

export interface ResponderStats {
  requests: number;
  acks: number;
  naks: number;
  /** The same request again, answered from memory. */
  repeats: number;
  /** Wrong secret, or no request that a router takes. */
  dropped: number;
  /** Packets that came to silent routers. */
  unheard: number;
  /** Sessions with an ACK since reset(), and when the first and the last of those went out (ms since 1970). */
  obeyed: number;
  firstAt: number;
  lastAt: number;
}

export interface Responders {
  /** Reads the open sessions of all routers from `radacct` again; gives how many there are. */
  load(): Promise<number>;
  setMode(addresses: readonly string[], mode: ResponderMode): Promise<void>;
  stats(): Promise<ResponderStats>;
  /** By session; what came since reset(). */
  obeyed(): Promise<Obeyed[]>;
  /** Forgets what was counted and obeyed; the sessions stay as they are. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** One order to the process and what it answers. */
export type ResponderOrder =
  | { readonly id: number; readonly name: 'load' | 'stats' | 'obeyed' | 'reset' | 'stop' }
  | {
      readonly id: number;
      readonly name: 'open';
      readonly routers: readonly ResponderRouter[];
      readonly db: DbAddress;
    }
  | {
      readonly id: number;
      readonly name: 'mode';
      readonly addresses: readonly string[];
      readonly mode: ResponderMode;
    };

/**
 * The far side of CoA for as many sessions as the accounting table has, where the lab would be too heavy: one process, a
 * socket a router. It speaks RFC 5176 with the lab's codec: a wrong secret is dropped in silence, a repeated request gets
 * the kept reply, a session that is not open there gets 503, an ACKed Disconnect ends the session and its Stop goes into
 * `radacct` as FreeRADIUS would write it (in batches). It authenticates nobody and sends no accounting: fill `radacct`
 * yourself, with `nasipaddress` (and `router_id`) as the router's and ids that are unique at that router.
 *
 * ```ts
 * const routers = responderRouters(200, 'bench secret');          // loopback addresses of this process
 * // … rows of router, login, radacct …
 * const responders = await startResponders({ routers, db: address });
 * await responders.load();                                         // after the sessions are in radacct
 * await responders.setMode([routers[0].address], 'silent');        // a dead router
 * // … work; then
 * const { obeyed, lastAt } = await responders.stats();             // cheap: may be polled
 * await responders.stop();
 * ```
 */
export async function startResponders(options: {
  routers: readonly ResponderRouter[];
  db: DbAddress;
}): Promise<Responders> {
  const program = fileURLToPath(import.meta.url).replace(/responders\.([jt]s)$/, 'responder-process.$1');
  const child = fork(program, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ask = asker(child);
  await ask<null>({ name: 'open', routers: options.routers, db: options.db });
  return {
    load: () => ask<number>({ name: 'load' }),
    setMode: async (addresses, mode) => {
      await ask<null>({ name: 'mode', addresses, mode });
    },
    stats: () => ask<ResponderStats>({ name: 'stats' }),
    obeyed: () => ask<Obeyed[]>({ name: 'obeyed' }),
    reset: async () => {
      await ask<null>({ name: 'reset' });
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      await ask<null>({ name: 'stop' });
      await ended;
    },
  };
}

/** Loopback addresses that no other run on this machine has, all on one port. */
export function responderRouters(count: number, secret: string): ResponderRouter[] {
  const block = 128 + (process.pid % 100);
  const rest = Math.floor(process.pid / 100) % 40;
  return Array.from({ length: count }, (_, n) => ({
    address: `127.${block}.${rest * 6 + Math.floor(n / 250)}.${(n % 250) + 1}`,
    port: 3799,
    secret,
  }));
}

type WithoutId<Order> = Order extends unknown ? Omit<Order, 'id'> : never;

/** Numbers the orders, so that answers find whoever asked. */
function asker(child: ChildProcess): <Answer>(order: WithoutId<ResponderOrder>) => Promise<Answer> {
  const waiting = new Map<number, { done: (answer: unknown) => void; failed: (error: Error) => void }>();
  let count = 0;
  child.on('message', (message: { id: number; answer?: unknown; error?: string }) => {
    const asked = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error === undefined) asked?.done(message.answer);
    else asked?.failed(new Error(`responders: ${message.error}`));
  });
  child.once('exit', () => {
    for (const { failed } of waiting.values()) failed(new Error('the responders ended'));
    waiting.clear();
  });
  return <Answer>(order: WithoutId<ResponderOrder>) =>
    new Promise<Answer>((resolve, reject) => {
      const id = ++count;
      waiting.set(id, { done: (answer) => resolve(answer as Answer), failed: reject });
      child.send({ ...order, id });
    });
}
