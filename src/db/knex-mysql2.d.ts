/** knex's own client for MySQL and MariaDB: its package has no types for the file. */
declare module 'knex/lib/dialects/mysql2/index.js' {
  import type { Knex } from 'knex';

  export default class MySql2Client extends Knex.Client {
    destroy(): Promise<void>;
  }
}
