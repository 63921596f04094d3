import { setTimeout as wait } from 'node:timers/promises';
import knexPkg, { type Knex } from 'knex';
import { NodesClient, type NodesConfig, nodesOf } from './nodes.ts';

const { knex } = knexPkg;

/** A pool or a transaction: what every function of db/ takes first. */
export type Db = Knex | Knex.Transaction;
export type Trx = Knex.Transaction;

export interface DbAddress {
  /** One host, or the nodes of a Galera cluster, `a,b:3307,c`: see db/nodes.ts. */
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

/**
 * A pool in which BIGINT and DATETIME arrive as strings, instants are UTC, and a transaction is READ COMMITTED:
 * gap locks of the default level would make unrelated subscribers wait for one another.
 */
export function openDb(address: DbAddress, options: { poolMax?: number; silentMs?: number } = {}): Knex {
  const config: Knex.Config & NodesConfig = {
    client: NodesClient,
    nodes: nodesOf(address.host, address.port),
    ...(options.silentMs === undefined ? {} : { silentMs: options.silentMs }),
    connection: {
      ...address,
      timezone: 'Z',
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      decimalNumbers: false,
      charset: 'utf8mb4',
      connectTimeout: 5000,
      // A host that lost its power sends no farewell: half a minute later the system knows.
      keepAliveInitialDelay: 20_000,
    },
    pool: {
      min: 0,
      max: options.poolMax ?? 10,
      afterCreate: (
        connection: RawConnection,
        done: (error: Error | null, connection: RawConnection) => void,
      ) => {
        connection.query(
          "SET time_zone = '+00:00', tx_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = 10",
          (error) => done(error, connection),
        );
      },
    },
    acquireConnectionTimeout: 10_000,
    // knex would print statements with their values to the console; errors reach our own log, without SQL.
    log: { warn: ignore, error: ignore, deprecate: ignore, debug: ignore },
  };
  return knex(config);
}

interface RawConnection {
  query(sql: string, done: (error: Error | null) => void): void;
}

function ignore(): void {
  // Deliberately nothing: see openDb.
}

/**
 * Deadlock (on Galera: another node's write set won), lock wait, record changed (MariaDB snapshot), Galera not ready, a
 * COMMIT that its node could not carry through, shutdown, connection killed or lost; a disk that is full, a server that is
 * read-only, out of connections. The last three may last, but they are nobody's data: whoever isolates what fails, login by
 * login, would give up on everybody.
 */
const passing = new Set([
  ...[1213, 1205, 1020, 1047, 1180, 1053, 1927, 2006, 2013],
  ...[1021, 1026, 1114],
  ...[1290, 1836],
  ...[1040, 1203],
]);
const passingCodes = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EPIPE',
  'PROTOCOL_CONNECTION_LOST',
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_CHECKREAD',
  'ER_UNKNOWN_COM_ERROR',
]);

/**
 * Runs `work` in one transaction and repeats it when the database asks for that: deadlock, lock wait, certification
 * failure, or a COMMIT whose answer was lost. So `work` must be idempotent by key and touch nothing but the database.
 */
export async function inTransaction<T>(
  db: Knex,
  work: (trx: Trx) => Promise<T>,
  options: { attempts?: number; conflicts?: number } = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction(work);
    } catch (error) {
      const attempts = isConflict(error) ? (options.conflicts ?? 12) : (options.attempts ?? 6);
      if (attempt >= attempts || !isPassing(error)) throw error;
      await wait(Math.random() * Math.min(20 * 2 ** attempt, 1000));
    }
  }
}

/**
 * Somebody else's transaction came first, which says nothing against this one: more patience than with a database that is
 * away, because on Galera everybody who meets at one row loses to all the others in turn.
 */
export function isConflict(error: unknown): boolean {
  const { errno, code } = error as { errno?: number; code?: string };
  return errno === 1213 || code === 'ER_LOCK_DEADLOCK';
}

/**
 * Runs one statement that may meet others in another order of locks, and repeats it when it was the one that lost. Inside
 * a transaction it runs once: there the whole transaction has to be repeated, by whoever began it.
 */
export async function repeatStatement<T>(db: Db, statement: () => Promise<T>): Promise<T> {
  const attempts = db.isTransaction === true ? 1 : 6;
  for (let attempt = 1; ; attempt++) {
    try {
      return await statement();
    } catch (error) {
      if (attempt >= attempts || !isPassing(error)) throw error;
      await wait(Math.random() * 10 * 2 ** attempt);
    }
  }
}

/** Whether the same statement may work in a moment. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { errno, code } = error as { errno?: number; code?: string };
  if (errno !== undefined && passing.has(errno)) return true;
  if (code !== undefined && passingCodes.has(code)) return true;
  // knex loses the code when the connection breaks inside a transaction.
  return error.message.includes('connection is in closed state') || error.message.includes('Connection lost');
}

/** Whether the error is a broken unique key (1062). */
export function isDuplicate(error: unknown): boolean {
  return error instanceof Error && (error as { errno?: number }).errno === 1062;
}

/** DATETIME(3) text for a UTC instant. */
export function sqlInstant(at: Date): string {
  return at.toISOString().slice(0, 23).replace('T', ' ');
}

/** The instant in a DATETIME text that came from the database (UTC). */
export function fromSqlInstant(text: string): Date {
  return new Date(`${text.replace(' ', 'T')}Z`);
}

/** Splits a list so that no statement grows with the number of subscribers. */
export function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let at = 0; at < items.length; at += size) chunks.push(items.slice(at, at + size));
  return chunks;
}
