import type { AccessKind } from '../domain/access-types.ts';
import type { SessionId } from '../domain/ids.ts';
import { byIndex, inOrder, type Place } from './keyset.ts';
import { type Db, sqlInstant } from './knex.ts';

/**
 * Which sessions a list shows: ids only, each read from one index and bounded, whatever the size of radacct. What is
 * shown of them is read by session-rows.ts.
 */

/** Index entries that one page of a filtered list looks at; the next page goes on from there. */
export const lookedAt = 20_000;

export interface SessionIds {
  readonly ids: readonly SessionId[];
  /** Where the next page begins; null at the end. */
  readonly next: readonly string[] | null;
  /** Looking ended before the page was full: the next one may hold more. */
  readonly isCut: boolean;
}

export interface OpenFilter {
  readonly routerId?: string;
  readonly access?: AccessKind;
  /** Only those last heard before three of their intervals. */
  readonly isStale?: boolean;
}

/** Where a session says no interval of its own, as in freeradius/queries. */
const interimSeconds = 300;
/** Intervals without a word after which a session is stale. */
const intervals = 3;

/** Open sessions, the newest first. */
export async function openSessionIds(
  db: Db,
  filter: OpenFilter,
  place: Place | null,
  page: { limit: number; now: Date },
): Promise<SessionIds> {
  if (filter.access !== undefined && filter.routerId === undefined && filter.isStale !== true)
    return idsByAccess(db, filter.access, place, page.limit);
  const from = place?.values.length === 1 ? (place.values[0] ?? null) : null;
  if (filter.access === undefined && filter.isStale !== true) {
    const rows = await openOnes(db, filter.routerId, from)
      .limit(page.limit + 1)
      .select<{ id: SessionId }[]>({ id: 'a.radacctid' });
    return cut(
      rows.map((row) => row.id),
      page.limit,
    );
  }
  return walked(db, filter, from, page);
}

function openOnes(db: Db, routerId: string | undefined, after: string | null) {
  const index = routerId === undefined ? 'radacct_open' : 'radacct_router';
  const query = byIndex(db, 'radacct as a', index).whereNull('a.acctstoptime').orderBy('a.radacctid', 'desc');
  if (routerId !== undefined) void query.where('a.router_id', routerId);
  if (after !== null) void query.where('a.radacctid', '<', after);
  return query;
}

/** A stretch of open sessions, and those of it that have what is looked for. */
async function walked(
  db: Db,
  filter: OpenFilter,
  from: string | null,
  page: { limit: number; now: Date },
): Promise<SessionIds> {
  const stretch = openOnes(db, filter.routerId, from).limit(lookedAt).select({ id: 'a.radacctid' });
  const [end] = await db
    .queryBuilder()
    .from(stretch.clone().as('s'))
    .select<{ last: string | null; n: string }[]>(db.raw('MIN(id) AS last, COUNT(*) AS n'));
  if (end?.last == null) return { ids: [], next: null, isCut: false };
  const query = openOnes(db, filter.routerId, from)
    .where('a.radacctid', '>=', end.last)
    .limit(page.limit + 1)
    .select({ id: 'a.radacctid' });
  if (filter.access !== undefined) {
    void query
      .join('login as l', 'l.username', 'a.username')
      .join('access_decision as d', 'd.login_id', 'l.id')
      .where('d.access', filter.access);
  }
  if (filter.isStale === true) {
    void query
      .leftJoin('radreply as i', (on) => {
        on.on('i.username', 'a.username')
          .andOnVal('i.attribute', 'Acct-Interim-Interval')
          .andOnVal('i.ordinal', 0);
      })
      .whereRaw(
        `COALESCE(a.acctupdatetime, a.acctstarttime)
           < ? - INTERVAL (? * COALESCE(NULLIF(CAST(i.value AS UNSIGNED), 0), ?)) SECOND`,
        [sqlInstant(page.now), intervals, interimSeconds],
      );
  }
  const found = cut(
    (await query.select<{ id: SessionId }[]>()).map((row) => row.id),
    page.limit,
  );
  if (found.next !== null || Number(end.n) < lookedAt) return found;
  return { ids: found.ids, next: [end.last], isCut: true };
}

/** From the decisions of that kind to their sessions: few decisions are not full, and many sessions are. */
async function idsByAccess(
  db: Db,
  access: AccessKind,
  place: Place | null,
  limit: number,
): Promise<SessionIds> {
  const at = place?.values.length === 3 ? place.values : null;
  const start: Place | null = at === null ? null : { direction: 'after', values: [at[0] ?? '', at[1] ?? ''] };
  const decisions = inOrder(
    db,
    byIndex(db, 'access_decision as d', 'decision_access').where('d.access', access),
    { columns: ['d.reason', 'd.login_id'], way: 'asc' },
    start,
  );
  // The login of the place itself may have more sessions than the page could show.
  const own = at === null ? [] : [{ reason: at[0] ?? '', login_id: at[1] ?? '' }];
  const slice = [
    ...own,
    ...(await decisions
      .limit(lookedAt / 10)
      .select<{ reason: string; login_id: string }[]>('d.reason', 'd.login_id')),
  ];
  const rows = await db('login as l')
    .join('radacct as a', (on) => {
      on.on('a.username', 'l.username').andOnNull('a.acctstoptime');
    })
    .whereIn(
      'l.id',
      slice.map((one) => one.login_id),
    )
    .select<{ id: SessionId; login_id: string }[]>({ id: 'a.radacctid', login_id: 'l.id' });
  const order = new Map(slice.map((one, index) => [one.login_id, index]));
  const sorted = rows
    .map((row) => ({ ...row, rank: order.get(row.login_id) ?? 0 }))
    .sort((a, b) => a.rank - b.rank || Number(BigInt(b.id) - BigInt(a.id)))
    .filter((row) => !(at !== null && row.login_id === at[1] && BigInt(row.id) >= BigInt(at[2] ?? '0')));
  const placeOf = (login: { reason: string; login_id: string } | undefined, id: string) =>
    login === undefined ? null : [login.reason, login.login_id, id];
  if (sorted.length > limit) {
    const last = sorted[limit - 1];
    return {
      ids: sorted.slice(0, limit).map((row) => row.id),
      next: placeOf(slice[last?.rank ?? 0], last?.id ?? '0'),
      isCut: false,
    };
  }
  const isAtEnd = slice.length - own.length < lookedAt / 10;
  return {
    ids: sorted.map((row) => row.id),
    next: isAtEnd ? null : placeOf(slice.at(-1), '0'),
    isCut: !isAtEnd,
  };
}

function cut(ids: readonly SessionId[], limit: number): SessionIds {
  const shown = ids.slice(0, limit);
  const last = shown.at(-1);
  return { ids: shown, next: ids.length > limit && last !== undefined ? [last] : null, isCut: false };
}

/** A beginning that somebody typed, of one of these. */
export interface SessionSearch {
  readonly by: 'username' | 'mac' | 'address' | 'ipv6';
  readonly prefix: string;
}

const searchIndex = {
  username: ['radacct_user', 'username'],
  mac: ['radacct_device', 'callingstationid'],
  address: ['radacct_address', 'framedipaddress'],
  ipv6: ['radacct_delegated', 'delegatedipv6prefix'],
} as const;

/** Open sessions whose username, MAC or address begins so: of the first entries of that index, those that are open. */
export async function searchOpenSessions(db: Db, search: SessionSearch, limit: number): Promise<SessionIds> {
  const [index, column] = searchIndex[search.by];
  const most = search.by === 'username' ? lookedAt : lookedAt / 4;
  const stretch = byIndex(db, 'radacct as a', index)
    .where(`a.${column}`, '>=', search.prefix)
    .where(`a.${column}`, '<', `${search.prefix}\u{10ffff}`)
    .orderBy(`a.${column}`)
    .limit(most)
    .select({ id: 'a.radacctid', stopped: 'a.acctstoptime' });
  const rows = await db
    .queryBuilder()
    .from(stretch.clone().as('s'))
    .whereNull('stopped')
    .limit(limit + 1)
    .select<{ id: SessionId }[]>('id');
  const ids = rows.map((row) => row.id);
  const [size] = await db
    .queryBuilder()
    .from(stretch.clone().as('s'))
    .select<{ n: string }[]>(db.raw('COUNT(*) AS n'));
  return { ids: ids.slice(0, limit), next: null, isCut: ids.length > limit || Number(size?.n ?? 0) >= most };
}

export interface EndedFilter {
  readonly username?: string;
  readonly mac?: string;
  readonly routerId?: string;
  /** Ended from this instant on and before that one. */
  readonly from?: Date;
  readonly until?: Date;
}

/** Ended sessions, the last ended first; the place is (acctstoptime, radacctid). */
export async function endedSessionIds(
  db: Db,
  filter: EndedFilter,
  place: Place | null,
  limit: number,
): Promise<{ id: SessionId; stoppedText: string }[]> {
  const query = byIndex(db, 'radacct as a', endedIndex(filter)).whereNotNull('a.acctstoptime');
  if (filter.username !== undefined) void query.where('a.username', filter.username);
  if (filter.mac !== undefined) void query.where('a.callingstationid', filter.mac);
  if (filter.routerId !== undefined) void query.where('a.router_id', filter.routerId);
  if (filter.from !== undefined) void query.where('a.acctstoptime', '>=', sqlInstant(filter.from));
  if (filter.until !== undefined) void query.where('a.acctstoptime', '<', sqlInstant(filter.until));
  const rows = await inOrder(db, query, { columns: ['a.acctstoptime', 'a.radacctid'], way: 'desc' }, place)
    .limit(limit)
    .select<{ id: SessionId; stopped: string }[]>({ id: 'a.radacctid', stopped: 'a.acctstoptime' });
  return rows.map((row) => ({ id: row.id, stoppedText: row.stopped }));
}

/** A name or a device has few sessions, a router many, in the order of their end. */
function endedIndex(filter: EndedFilter): string {
  if (filter.username !== undefined) return 'radacct_user';
  if (filter.mac !== undefined) return 'radacct_device';
  return filter.routerId === undefined ? 'radacct_open' : 'radacct_router';
}
