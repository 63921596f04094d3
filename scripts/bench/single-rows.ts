import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import type { DbAddress } from '../../src/db/knex.ts';

export type Value = string | number | null;

/** Prepared statements on one connection that was set up as Sluice's are. */
export class SingleRows {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(address: DbAddress): Promise<SingleRows> {
    const connection = await mysql.createConnection({
      ...address,
      timezone: 'Z',
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      charset: 'utf8mb4',
    });
    await connection.query("SET time_zone = '+00:00', tx_isolation = 'READ-COMMITTED'");
    return new SingleRows(connection);
  }

  async inTransaction<T>(work: () => Promise<T>): Promise<T> {
    await this.#connection.query('BEGIN');
    const result = await work();
    await this.#connection.query('COMMIT');
    return result;
  }

  async all<T>(sql: string, values: Value[]): Promise<T[]> {
    const [rows] = await this.#connection.execute<RowDataPacket[]>(sql, values);
    return rows as T[];
  }

  /** Gives the id of the row that was inserted, if one was. */
  async run(sql: string, values: Value[]): Promise<string> {
    const [result] = await this.#connection.execute<mysql.ResultSetHeader>(sql, values);
    return String(result.insertId);
  }

  async close(): Promise<void> {
    await this.#connection.end();
  }
}
