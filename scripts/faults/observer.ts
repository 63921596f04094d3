import { setTimeout as wait } from 'node:timers/promises';
import type { Knex } from 'knex';
import { openDb } from '../../src/db/knex.ts';
import type { Database } from './database.ts';
import { addressOf } from './place.ts';
import { Wire } from './wire.ts';

/** Reads what the story needs to know, past Sluice, and waits while the database is away. */
export interface Observer {
  readonly db: Knex;
  /** Undefined while it cannot be read. */
  runState(id: string): Promise<string | undefined>;
  isInvoiceRunDone(day: string): Promise<boolean>;
  hasLogin(username: string): Promise<boolean>;
  /** Asks until the database answers. */
  ask<T>(question: (db: Knex) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const patienceMs = 120_000;

export async function openObserver(database: Database): Promise<Observer> {
  const wire = new Wire(() =>
    database.nodes.filter((node) => node.isServing?.() !== false).map((node) => node.port),
  );
  const db = openDb(addressOf(database, await wire.listen()), { poolMax: 3 });
  const ask = async <T>(question: (from: Knex) => Promise<T>): Promise<T> => {
    const end = performance.now() + patienceMs;
    for (;;) {
      try {
        return await question(db);
      } catch (error) {
        if (performance.now() > end) throw error;
        await wait(200);
      }
    }
  };
  return {
    db,
    ask,
    runState: (id) =>
      ask(async () => {
        const row = await db('overdue_run').where({ id }).first<{ state: string } | undefined>('state');
        return row?.state;
      }),
    isInvoiceRunDone: (day) =>
      ask(async () => {
        const rows = await db('invoice_run').where({ as_of: day }).select<{ finished_at: string | null }[]>();
        return rows.length > 0 && rows.every((row) => row.finished_at !== null);
      }),
    hasLogin: (username) =>
      ask(async () => {
        const row = await db('login').where({ username }).first<{ id: string } | undefined>('id');
        return row !== undefined;
      }),
    async close() {
      await db.destroy();
      await wire.close();
    },
  };
}

export function masterOf(observer: Observer, name: string): Promise<{ id: string }> {
  return observer.ask(async (db) => {
    const row = await db('master_package').where({ name }).first<{ id: string } | undefined>('id');
    if (row === undefined) throw new Error(`there is no master package ${name}`);
    return row;
  });
}
