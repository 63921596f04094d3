import type { RouterId } from '../domain/ids.ts';
import { type Db, fromSqlInstant } from './knex.ts';

/** A live router as people look at it: what it is, whether it answers, and how much hangs on it. */
export interface RouterView {
  id: RouterId;
  name: string;
  address: string;
  coaPort: number;
  rateChange: 'coa' | 'disconnect';
  needsMessageAuthenticator: boolean;
  pacePerSecond: number;
  breaker: 'open' | 'closed';
  breakerOpenedAt: Date | null;
  lastAnswerAt: Date | null;
  lastAccountingAt: Date | null;
  lastError: string | null;
  openSessions: number;
  waitingSessions: number;
}

type Row = Record<string, string | number | null>;

export async function routerViews(db: Db): Promise<RouterView[]> {
  const rows = await db('router as r')
    .leftJoin('router_lane as n', 'n.router_id', 'r.id')
    .whereNull('r.removed_at')
    .orderBy('r.name')
    .limit(5000)
    .select<Row[]>('r.*', {
      breaker: 'n.breaker',
      breaker_opened_at: 'n.breaker_opened_at',
      last_answer_at: 'n.last_answer_at',
      last_accounting_at: 'n.last_accounting_at',
      last_error: 'n.last_error',
    });
  const open = await openSessionCounts(db);
  const waiting = await waitingCounts(db);
  const instant = (value: string | number | null | undefined) =>
    value == null ? null : fromSqlInstant(String(value));
  return rows.map((row) => ({
    id: String(row['id']) as RouterId,
    name: String(row['name']),
    address: String(row['address']),
    coaPort: Number(row['coa_port']),
    rateChange: row['rate_change'] as RouterView['rateChange'],
    needsMessageAuthenticator: Number(row['needs_message_authenticator']) === 1,
    pacePerSecond: Number(row['pace_per_second']),
    breaker: row['breaker'] === 'open' ? 'open' : 'closed',
    breakerOpenedAt: instant(row['breaker_opened_at']),
    lastAnswerAt: instant(row['last_answer_at']),
    lastAccountingAt: instant(row['last_accounting_at']),
    lastError: row['last_error'] == null ? null : String(row['last_error']),
    openSessions: open.get(String(row['id'])) ?? 0,
    waitingSessions: waiting.get(String(row['id'])) ?? 0,
  }));
}

/** Open sessions by router id. */
export async function openSessionCounts(db: Db): Promise<Map<string, number>> {
  const rows = await db('radacct')
    .whereNull('acctstoptime')
    .whereNotNull('router_id')
    .groupBy('router_id')
    .select<{ router_id: string; n: string }[]>('router_id', db.raw('COUNT(*) AS n'));
  return new Map(rows.map((row) => [String(row.router_id), Number(row.n)]));
}

async function waitingCounts(db: Db): Promise<Map<string, number>> {
  const rows = await db('reconcile_queue')
    .where({ kind: 'session' })
    .groupBy('router_id')
    .select<{ router_id: string | null; n: string }[]>('router_id', db.raw('COUNT(*) AS n'));
  return new Map(rows.map((row) => [String(row.router_id), Number(row.n)]));
}
