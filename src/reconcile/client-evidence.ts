import type { Knex } from 'knex';
import type { ClientFolder } from '../adapters/freeradius/client-files.ts';
import {
  askClientCounters,
  askLoadedClient,
  type ClientCounters,
  type Radmin,
} from '../adapters/freeradius/radmin.ts';
import type { Clock } from '../clock.ts';
import { routersWithAccountingSince } from '../db/radius-clients.ts';
import { type ClientState, isComplete, withHeard, withLoaded } from '../domain/client-evidence.ts';
import { clientHash, type RadiusClient } from '../domain/radius-client-file.ts';
import type { Log } from '../log.ts';
import type { ClientStates } from './client-states.ts';

export interface EvidenceDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly radmin: Radmin | undefined;
  readonly folderOf: (address: string) => ClientFolder | undefined;
}

/** The routers that changed last are asked about at every look, as long as their change is younger than this. */
const freshMs = 60_000;
const freshAtOnce = 50;
/** The others that are not complete come round slowly: asking costs FreeRADIUS's network thread about 0.1 ms. */
const oldAtOnce = 10;
/** One look at most, so that the agent is free for what matters more. */
const lookMs = 50;
/** Accounting is asked of the database, which many others need. */
const accountingMs = 2000;
/** After this long with packets and without the file read, the file's time was missed; it is set once more. */
const missedMs = 2500;

/**
 * Collects what FreeRADIUS itself says about routers: what it has loaded, and whether it has since taken a packet that
 * only the right secret can have made. Nothing is concluded from what we wrote.
 */
export class EvidenceCollector {
  private readonly deps: EvidenceDeps;
  private readonly states: ClientStates;
  private connection = -1;
  /** Routers whose loaded client has not been compared since the server, or we, started. */
  private toCompare: string[] = [];
  private lastAsked = '0';
  private accountingAt = -Infinity;
  private isReachable = true;

  constructor(deps: EvidenceDeps, states: ClientStates) {
    this.deps = deps;
    this.states = states;
  }

  /** Asks about some routers, and stops early, between two of them, when `isHurried` says so. */
  async look(isHurried: () => boolean): Promise<void> {
    const { radmin } = this.deps;
    if (radmin === undefined) return this.lookAtAccounting();
    if (!(await this.isConnected(radmin))) return;
    const due = this.due();
    const endAt = performance.now() + lookMs;
    while (!isHurried() && performance.now() < endAt) {
      const next = due.shift();
      const routerId = next ?? this.toCompare.pop();
      if (routerId === undefined) return;
      if (!(await this.ask(radmin, routerId, { isFirst: next === undefined }))) return;
    }
  }

  private async isConnected(radmin: Radmin): Promise<boolean> {
    const answer = await radmin.ask('show uptime');
    if (!answer.ok) {
      if (this.isReachable) this.deps.log.warn('control socket does not answer', { reason: answer.reason });
      this.isReachable = false;
      return false;
    }
    if (!this.isReachable) this.deps.log.info('control socket answers again');
    this.isReachable = true;
    if (radmin.connections() !== this.connection) {
      this.connection = radmin.connections();
      this.toCompare = this.states.ids();
    }
    return true;
  }

  /** The newest changes first, then the next few of the others in the order of ids. */
  private due(): string[] {
    const now = this.deps.clock.now().getTime();
    const since = (state: ClientState) => (state.inPlaceAt ?? state.wantedAt).getTime();
    const open = this.states.all().filter((state) => !isComplete(state));
    const fresh = open
      .filter((state) => now - since(state) < freshMs)
      .sort((a, b) => since(b) - since(a))
      .slice(0, freshAtOnce)
      .map((state) => state.routerId);
    const isFresh = new Set(fresh);
    const old = open.map((state) => state.routerId).filter((routerId) => !isFresh.has(routerId));
    old.sort((a, b) => Number(BigInt(a) - BigInt(b)));
    const start = old.findIndex((routerId) => BigInt(routerId) > BigInt(this.lastAsked));
    const turn = [...old.slice(Math.max(start, 0)), ...old.slice(0, Math.max(start, 0))].slice(0, oldAtOnce);
    this.lastAsked = turn.at(-1) ?? '0';
    return [...fresh, ...turn];
  }

  /** False when the server could not be asked. */
  private async ask(radmin: Radmin, routerId: string, options: { isFirst: boolean }): Promise<boolean> {
    const address = this.states.addressOf(routerId);
    const state = this.states.get(routerId);
    if (address === undefined || state === undefined) return true;
    const loaded = await askLoadedClient(radmin, address);
    if (!loaded.ok) return loaded.reason === 'refused';
    const hash = this.hashOf(routerId, loaded.client);
    this.states.change(routerId, (before) => withLoaded(before, hash, this.deps.clock.now()));
    if (state.inPlaceHash === null || loaded.client === undefined) return true;
    if (hash === state.inPlaceHash && isComplete(state)) return true;
    const acct = await askClientCounters(radmin, 'acct', address);
    const auth = await askClientCounters(radmin, 'auth', address);
    if (acct === undefined || auth === undefined) return false;
    if (hash !== state.inPlaceHash) {
      await this.helpAlong(state, address, { isFirst: options.isFirst, counters: [acct, auth] });
    } else if (hash === state.wantedHash && isHeard(loaded.client, acct, auth)) {
      this.states.change(routerId, (before) => withHeard(before, this.deps.clock.now()));
    }
    return true;
  }

  /** An address may have passed to another router meanwhile: its client is not this one's. */
  private hashOf(routerId: string, client: RadiusClient | undefined): string | null {
    return client?.shortname === `r${routerId}` ? clientHash(client) : null;
  }

  /**
   * The server holds something else than the file. For an idle router that is as it should be. When we have only just
   * started, or when packets came and it still did not look, the file's time is set once more.
   */
  private async helpAlong(
    state: ClientState,
    address: string,
    seen: { isFirst: boolean; counters: readonly ClientCounters[] },
  ): Promise<void> {
    const lastPacketMs = Math.max(...seen.counters.map((counters) => counters.lastPacketAt)) * 1000;
    const isMissed = lastPacketMs > (state.inPlaceAt?.getTime() ?? Infinity) + missedMs;
    if (!seen.isFirst && !isMissed) return;
    if (isMissed) this.deps.log.warn('client file was not read again', { routerId: state.routerId });
    await this.deps.folderOf(address)?.renew(address);
  }

  /** Without a control socket: accounting later than the file, by more than the second in which the old one counts. */
  private async lookAtAccounting(): Promise<void> {
    if (performance.now() - this.accountingAt < accountingMs) return;
    this.accountingAt = performance.now();
    const open = this.due().flatMap((routerId) => {
      const state = this.states.get(routerId);
      if (state?.inPlaceAt === null || state === undefined || state.inPlaceHash === null) return [];
      if (state.inPlaceHash !== state.wantedHash) return [];
      return [{ routerId, since: new Date(state.inPlaceAt.getTime() + 2000) }];
    });
    const heard = await routersWithAccountingSince(this.deps.db, open);
    const now = this.deps.clock.now();
    for (const routerId of heard) this.states.change(routerId, (state) => withHeard(state, now));
  }
}

/**
 * An Accounting-Request carries a digest made with the secret (RFC 2866 §3). An Access-Request does so only with a
 * Message-Authenticator, so logins count where the router's client requires one; a CHAP login alone proves nothing.
 */
function isHeard(client: RadiusClient, acct: ClientCounters, auth: ClientCounters): boolean {
  return acct.answered > 0 || (client.requireMessageAuthenticator && auth.answered > 0);
}
