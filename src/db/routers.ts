import type { RouterId } from '../domain/ids.ts';
import { type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';
import { type ClientEvidence, clientEvidence } from './radius-clients.ts';
import { lastAccountingOf } from './router-heard.ts';

export type RateChange = 'coa' | 'disconnect';

export interface RouterRow {
  readonly id: RouterId;
  readonly name: string;
  readonly address: string;
  /** Opens with the vault at routerSecretPlace(id). */
  readonly sealedSecret: Buffer;
  readonly coaPort: number;
  readonly rateChange: RateChange;
  readonly needsMessageAuthenticator: boolean;
  readonly pacePerSecond: number;
  readonly createdAt: Date;
  readonly changedAt: Date;
  readonly removedAt: Date | null;
}

/** Where a router's secret is sealed: a sealed text moved to another router does not open. */
export function routerSecretPlace(routerId: string): string {
  return `router.secret:${routerId}`;
}

interface Row {
  id: RouterId;
  name: string;
  address: string;
  secret: Buffer;
  coa_port: number;
  rate_change: RateChange;
  needs_message_authenticator: number;
  pace_per_second: number;
  created_at: string;
  changed_at: string;
  removed_at: string | null;
}

const columns = [
  'r.id',
  'r.name',
  'r.address',
  'r.secret',
  'r.coa_port',
  'r.rate_change',
  'r.needs_message_authenticator',
  'r.pace_per_second',
  'r.created_at',
  'r.changed_at',
  'r.removed_at',
];

function routerOf(row: Row): RouterRow {
  return {
    id: row.id,
    name: row.name,
    address: row.address,
    sealedSecret: row.secret,
    coaPort: row.coa_port,
    rateChange: row.rate_change,
    needsMessageAuthenticator: row.needs_message_authenticator === 1,
    pacePerSecond: row.pace_per_second,
    createdAt: fromSqlInstant(row.created_at),
    changedAt: fromSqlInstant(row.changed_at),
    removedAt: row.removed_at === null ? null : fromSqlInstant(row.removed_at),
  };
}

/** Removed ones too: their rows stay, so that old accounting keeps its name. In the order of ids. */
export async function routersByIds(db: Db, ids: readonly string[]): Promise<RouterRow[]> {
  if (ids.length === 0) return [];
  const rows = await db('router as r')
    .select<Row[]>(columns)
    .whereIn('r.id', [...ids])
    .orderBy('r.id');
  return rows.map(routerOf);
}

/** Locks the router until the transaction ends. */
export async function lockRouter(trx: Trx, id: string): Promise<RouterRow | undefined> {
  const row = await trx('router as r').select<Row[]>(columns).where('r.id', id).forUpdate().first<Row>();
  return (row as Row | undefined) === undefined ? undefined : routerOf(row);
}

/** The live router of this name, or of this address in its canonical spelling. */
export async function findLiveRouter(db: Db, nameOrAddress: string): Promise<RouterRow | undefined> {
  const rows = await db('router as r')
    .select<Row[]>(columns)
    .where('r.live_name', nameOrAddress)
    .orWhere('r.live_address', nameOrAddress)
    .orderBy('r.id')
    .limit(1);
  return rows[0] === undefined ? undefined : routerOf(rows[0]);
}

/** Whether a live router, `exceptId` left aside, has the name or the address already; and which of the two it is. */
export async function takenBy(
  db: Db,
  wanted: { name?: string; address?: string },
  exceptId: string | null,
): Promise<'name' | 'address' | undefined> {
  for (const field of ['name', 'address'] as const) {
    const value = wanted[field];
    if (value === undefined) continue;
    const rows = await db('router')
      .where({ [`live_${field}`]: value })
      .select<{ id: string }[]>('id');
    if (rows.some((row) => row.id !== exceptId)) return field;
  }
  return undefined;
}

export interface RouterValues {
  name?: string;
  address?: string;
  sealedSecret?: Buffer;
  coaPort?: number;
  rateChange?: RateChange;
  needsMessageAuthenticator?: boolean;
  pacePerSecond?: number;
  removedAt?: Date;
}

/** The secret is put in by updateRouter() once the id is known, since it is sealed for that id. */
export async function insertRouter(
  trx: Trx,
  values: Required<Omit<RouterValues, 'sealedSecret' | 'removedAt'>>,
  at: Date,
): Promise<RouterId> {
  const [id] = await trx('router').insert({
    ...columnsOf(values),
    secret: Buffer.alloc(0),
    created_at: sqlInstant(at),
    changed_at: sqlInstant(at),
  });
  return String(id) as RouterId;
}

export async function updateRouter(trx: Trx, id: string, values: RouterValues, at: Date): Promise<void> {
  await trx('router')
    .where({ id })
    .update({ ...columnsOf(values), changed_at: sqlInstant(at) });
}

function columnsOf(values: RouterValues): Record<string, unknown> {
  const all: Record<string, unknown> = {
    name: values.name,
    address: values.address,
    secret: values.sealedSecret,
    coa_port: values.coaPort,
    rate_change: values.rateChange,
    needs_message_authenticator: values.needsMessageAuthenticator,
    pace_per_second: values.pacePerSecond,
    removed_at: values.removedAt === undefined ? undefined : sqlInstant(values.removedAt),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** What hangs on a router: names of pools with a range on it, and how many sessions are open. */
export async function whatHangsOn(
  db: Db,
  routerId: string,
): Promise<{ pools: string[]; openSessions: number }> {
  const pools = await db('ipv4_pool_range as g')
    .join('ipv4_pool as p', 'p.id', 'g.pool_id')
    .where('g.router_id', routerId)
    .distinct('p.name')
    .orderBy('p.name')
    .pluck<string[]>('p.name');
  const open = await openSessionCounts(db, [routerId]);
  return { pools, openSessions: open.get(routerId) ?? 0 };
}

/** Takes the router's ranges out of the pools; the pools themselves stay. Gives how many. */
export async function deletePoolRangesOf(trx: Trx, routerId: string): Promise<number> {
  return trx('ipv4_pool_range').where({ router_id: routerId }).del();
}

/** Wishes for sessions of a router that is gone: there is nobody left to send them to. Gives how many. */
export async function dropSessionWishesOf(trx: Trx, routerId: string): Promise<number> {
  return trx('reconcile_queue').where({ kind: 'session', router_id: routerId }).del();
}

async function openSessionCounts(db: Db, ids: readonly string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map();
  const rows = await db('radacct')
    .whereIn('router_id', [...ids])
    .whereNull('acctstoptime')
    .groupBy('router_id')
    .select<{ router_id: string; n: string }[]>('router_id', db.raw('COUNT(*) AS n'));
  return new Map(rows.map((row) => [row.router_id, Number(row.n)]));
}

async function waitingSessionCounts(db: Db, ids: readonly string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map();
  const rows = await db('reconcile_queue')
    .whereIn('router_id', [...ids])
    .where({ kind: 'session' })
    .groupBy('router_id')
    .select<{ router_id: string; n: string }[]>('router_id', db.raw('COUNT(*) AS n'));
  return new Map(rows.map((row) => [row.router_id, Number(row.n)]));
}

/** Live routers by name, for a choice in a form. */
export async function routerChoices(db: Db): Promise<{ id: RouterId; name: string }[]> {
  return db('router').whereNull('removed_at').orderBy('name').limit(1000).select('id', 'name');
}

/** Of these router ids, those that were removed on record. */
export async function removedRouters(db: Db, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const removed = await db('router')
    .whereIn('id', [...ids])
    .whereNotNull('removed_at')
    .pluck<string[]>('id');
  return new Set(removed);
}

export interface RouterFilter {
  /** Part of the name or of the address. */
  text?: string;
  ids?: readonly string[];
  breaker?: 'closed' | 'open';
  isRemovedToo?: boolean;
  /** Names after this one, for the next page. */
  afterName?: string;
  limit?: number;
}

export interface RouterSummary extends Omit<RouterRow, 'sealedSecret'> {
  readonly lane: {
    /** `unused`: it has never answered, and nothing says that it does not. */
    readonly breaker: 'closed' | 'open' | 'unused';
    /** Since when it does not answer. */
    readonly openedAt: Date | null;
    readonly failures: number;
    readonly probeAt: Date | null;
    readonly lastAnswerAt: Date | null;
    /** Its last Start, interim or Stop. */
    readonly lastAccountingAt: Date | null;
    readonly lastError: string | null;
  };
  readonly openSessions: number;
  /** Sessions with a CoA or Disconnect that is still wanted. */
  readonly waitingSessions: number;
  /** One entry a FreeRADIUS host; none while no agent has seen it. */
  readonly evidence: readonly ClientEvidence[];
}

interface LaneRow {
  breaker: 'closed' | 'open' | null;
  breaker_opened_at: string | null;
  failures: number | null;
  probe_at: string | null;
  last_answer_at: string | null;
  last_error: string | null;
}

/** Routers by name, a page at a time, with their lane, evidence, open sessions and last accounting. */
export async function listRouters(db: Db, filter: RouterFilter = {}): Promise<RouterSummary[]> {
  const query = db('router as r')
    .leftJoin('router_lane as l', 'l.router_id', 'r.id')
    .select<(Row & LaneRow)[]>(columns)
    .select(
      'l.breaker',
      'l.breaker_opened_at',
      'l.failures',
      'l.probe_at',
      'l.last_answer_at',
      'l.last_error',
    )
    .orderBy(['r.name', 'r.id'])
    .limit(filter.limit ?? 500);
  if (filter.isRemovedToo !== true) void query.whereNull('r.removed_at');
  if (filter.ids !== undefined) void query.whereIn('r.id', [...filter.ids]);
  if (filter.afterName !== undefined) void query.where('r.name', '>', filter.afterName);
  if (filter.breaker === 'open') void query.where('l.breaker', 'open');
  if (filter.breaker === 'closed') void query.where('l.breaker', 'closed').whereNotNull('l.last_answer_at');
  if (filter.text !== undefined) {
    // knex's whereLike() asks for a collation that this server refuses; names match whatever their case.
    const like = `%${filter.text.toLowerCase().replaceAll(/[\\%_]/g, '\\$&')}%`;
    void query.whereRaw('(LOWER(r.name) LIKE ? OR r.address LIKE ?)', [like, like]);
  }
  const rows = (await query) as (Row & LaneRow)[];
  const ids = rows.map((row) => row.id);
  const [open, waiting, evidence, heard] = await Promise.all([
    openSessionCounts(db, ids),
    waitingSessionCounts(db, ids),
    clientEvidence(db, ids),
    lastAccountingOf(db, ids),
  ]);
  return rows.map((row) => ({
    ...withoutSecret(routerOf(row)),
    lane: laneOf(row, heard.get(row.id) ?? null),
    openSessions: open.get(row.id) ?? 0,
    waitingSessions: waiting.get(row.id) ?? 0,
    evidence: evidence.get(row.id) ?? [],
  }));
}

function withoutSecret({ sealedSecret: _, ...rest }: RouterRow): Omit<RouterRow, 'sealedSecret'> {
  return rest;
}

function laneOf(row: LaneRow, lastAccountingAt: Date | null): RouterSummary['lane'] {
  const instant = (text: string | null) => (text === null ? null : fromSqlInstant(text));
  return {
    breaker: row.breaker === 'open' ? 'open' : row.last_answer_at === null ? 'unused' : 'closed',
    openedAt: instant(row.breaker_opened_at),
    failures: row.failures ?? 0,
    probeAt: instant(row.probe_at),
    lastAnswerAt: instant(row.last_answer_at),
    lastAccountingAt,
    lastError: row.last_error,
  };
}
