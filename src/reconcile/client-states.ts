import type { Knex } from 'knex';
import { readClientStates, saveClientStates } from '../db/radius-clients.ts';
import { type ClientState, newClientState } from '../domain/client-evidence.ts';

/**
 * This host's evidence in memory, and what of it the database does not have yet. While the database is away the agent
 * goes on collecting and writes it down later.
 */
export class ClientStates {
  private readonly host: string;
  private readonly now: () => Date;
  private readonly states = new Map<string, ClientState>();
  private readonly addresses = new Map<string, string>();
  private readonly unsaved = new Set<string>();

  constructor(host: string, now: () => Date) {
    this.host = host;
    this.now = now;
  }

  async load(db: Knex): Promise<void> {
    for (const state of await readClientStates(db, this.host)) {
      if (!this.states.has(state.routerId)) this.states.set(state.routerId, state);
    }
  }

  /** Writes down what is new of up to `limit` routers; the rest, and what fails to be saved, goes with the next. */
  async save(db: Knex, limit: number): Promise<void> {
    const ids = [...this.unsaved].slice(0, limit);
    if (ids.length === 0) return;
    for (const id of ids) this.unsaved.delete(id);
    try {
      await saveClientStates(
        db,
        this.host,
        ids.flatMap((id) => this.states.get(id) ?? []),
      );
    } catch (error) {
      for (const id of ids) this.unsaved.add(id);
      throw error;
    }
  }

  get(routerId: string): ClientState | undefined {
    return this.states.get(routerId);
  }

  ids(): string[] {
    return [...this.states.keys()];
  }

  all(): ClientState[] {
    return [...this.states.values()];
  }

  change(routerId: string, how: (state: ClientState) => ClientState): void {
    const before = this.states.get(routerId);
    const after = how(before ?? newClientState(routerId, this.now()));
    if (after === before) return;
    this.states.set(routerId, after);
    this.unsaved.add(routerId);
  }

  setAddress(routerId: string, address: string): void {
    this.addresses.set(routerId, address);
  }

  /** Where the router is, or was when it was last wanted. */
  addressOf(routerId: string): string | undefined {
    return this.addresses.get(routerId);
  }
}
