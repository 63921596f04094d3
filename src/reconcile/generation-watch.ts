import { setTimeout as wait } from 'node:timers/promises';
import type { Knex } from 'knex';
import { type SessionNow, sessionsNow } from '../db/sessions.ts';
import type { SessionId } from '../domain/ids.ts';

/** How long questions are gathered before the database is asked for all of them. */
const gatherMs = 20;

/**
 * Answers, before each retransmit, what is wanted of a session by now. Questions of one moment, of all routers, are one
 * statement, and the answer is never older than its question.
 */
export class GenerationWatch {
  readonly #db: Knex;
  #asked = new Set<SessionId>();
  #answer: Promise<Map<SessionId, SessionNow>> | undefined;

  constructor(db: Knex) {
    this.#db = db;
  }

  /** Undefined: accounting knows no such session any more. Rejects when the database is away. */
  async current(sessionId: SessionId): Promise<SessionNow | undefined> {
    this.#asked.add(sessionId);
    this.#answer ??= this.#ask();
    return (await this.#answer).get(sessionId);
  }

  async #ask(): Promise<Map<SessionId, SessionNow>> {
    await wait(gatherMs);
    const asked = [...this.#asked];
    this.#asked = new Set();
    this.#answer = undefined;
    return sessionsNow(this.#db, asked);
  }
}
