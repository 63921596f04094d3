import {
  type InvoiceId,
  operatorReseller,
  type PaymentId,
  type RouterId,
  type SessionId,
  type SubscriberId,
} from '../domain/ids.ts';
import type { SearchTerms } from '../domain/search-terms.ts';
import { type Db, fromSqlInstant } from './knex.ts';
import { startsWith } from './subscriber-drivers.ts';

/** Reads of the search field: each by an index, each bounded. */

/** Subscribers whom the text names for certain: by number, username, locked device, static address or prefix. */
export async function subscribersNamed(db: Db, terms: SearchTerms): Promise<SubscriberId[]> {
  const byLogin = (column: string, values: readonly string[]) =>
    db('login as l')
      .join('subscription as n', 'n.id', 'l.subscription_id')
      .whereIn(`l.${column}`, [...values])
      .limit(20)
      .pluck<SubscriberId[]>('n.subscriber_id');
  const found = await Promise.all([
    terms.subscriberId === null
      ? []
      : db('subscriber').where({ id: terms.subscriberId }).limit(1).pluck<SubscriberId[]>('id'),
    terms.username === null ? [] : byLogin('username', [terms.username]),
    terms.mac === null ? [] : byLogin('mac_lock', [terms.mac]),
    terms.ipv4 === null ? [] : byLogin('live_static_ipv4', [terms.ipv4]),
    terms.ipv6 === null ? [] : byLogin('delegated_ipv6_prefix', terms.ipv6.prefixes),
  ]);
  return [...new Set(found.flat())];
}

export interface FoundInvoice {
  readonly id: InvoiceId;
  readonly name: string;
  readonly subscriber: string;
  readonly totalMinor: bigint;
  readonly openMinor: bigint;
  readonly state: string;
}

/** The invoice with that number, in the series typed, else in the operator's own. */
export async function invoicesNumbered(
  db: Db,
  wanted: { series: string | null; number: string },
  ownSeries: string,
): Promise<FoundInvoice[]> {
  const series = wanted.series === null ? [ownSeries] : [wanted.series, wanted.series.toUpperCase()];
  const rows: Record<string, string>[] = await db('invoice as i')
    .join('subscriber as b', 'b.id', 'i.subscriber_id')
    .where('i.reseller_id', operatorReseller)
    .whereIn('i.series', series)
    .where('i.number', wanted.number)
    .limit(20)
    .select({
      id: 'i.id',
      series: 'i.series',
      number: 'i.number',
      subscriber: 'b.name',
      total: 'i.total_minor',
      open: 'i.open_minor',
      state: 'i.state',
    });
  return rows.map((row) => ({
    id: row['id'] as InvoiceId,
    name: `${row['series'] ?? ''}-${row['number'] ?? ''}`,
    subscriber: row['subscriber'] ?? '',
    totalMinor: BigInt(row['total'] ?? '0'),
    openMinor: BigInt(row['open'] ?? '0'),
    state: row['state'] ?? '',
  }));
}

export interface FoundPayment {
  readonly id: PaymentId;
  readonly channel: string;
  readonly reference: string;
  readonly subscriber: string;
  readonly amountMinor: bigint;
  readonly receivedOn: string;
  readonly isReversed: boolean;
}

/** Payments whose reference begins with the text, in any channel. */
export async function paymentsReferenced(db: Db, reference: string, limit: number): Promise<FoundPayment[]> {
  const rows = await db('payment as p')
    .join('subscriber as b', 'b.id', 'p.subscriber_id')
    .whereIn('p.channel', ['cash', 'bank'])
    .where('p.reference', 'like', startsWith(reference))
    .orderBy(['p.channel', 'p.reference'])
    .limit(limit)
    .select<Record<string, string | null>[]>('p.*', { subscriber: 'b.name' });
  return rows.map((row) => ({
    id: row['id'] as PaymentId,
    channel: row['channel'] ?? '',
    reference: row['reference'] ?? '',
    subscriber: row['subscriber'] ?? '',
    amountMinor: BigInt(row['amount_minor'] ?? '0'),
    receivedOn: row['received_on'] ?? '',
    isReversed: row['reversed_at'] !== null,
  }));
}

export interface FoundSession {
  readonly id: SessionId;
  readonly sessionId: string;
  readonly username: string;
  /** Null for a name that is no login's. */
  readonly subscriberId: SubscriberId | null;
  readonly address: string;
  readonly mac: string;
  readonly startedAt: Date | null;
  readonly isOpen: boolean;
}

/** Sessions with that device, address or Acct-Session-Id, newest first. */
export async function sessionsWith(db: Db, terms: SearchTerms, limit: number): Promise<FoundSession[]> {
  const { mac, ipv4, ipv6, reference } = terms;
  const found = await Promise.all([
    mac === null ? [] : sessionsBy(db, 'callingstationid', [mac], limit),
    ipv4 === null ? [] : sessionsBy(db, 'framedipaddress', [ipv4], limit),
    ipv6 === null ? [] : sessionsBy(db, 'framedipv6prefix', ipv6.prefixes, limit),
    ipv6 === null ? [] : sessionsBy(db, 'delegatedipv6prefix', ipv6.prefixes, limit),
    reference === null ? [] : sessionsBy(db, 'acctsessionid', [reference], limit),
  ]);
  const byId = new Map(found.flat().map((session) => [session.id, session]));
  const at = (session: FoundSession) => session.startedAt?.getTime() ?? 0;
  return [...byId.values()].sort((a, b) => at(b) - at(a)).slice(0, limit);
}

async function sessionsBy(
  db: Db,
  column: string,
  values: readonly string[],
  limit: number,
): Promise<FoundSession[]> {
  const rows: Record<string, string | null>[] = await db('radacct as a')
    .leftJoin('login as l', 'l.username', 'a.username')
    .leftJoin('subscription as n', 'n.id', 'l.subscription_id')
    .whereIn(`a.${column}`, [...values])
    .orderBy('a.acctstarttime', 'desc')
    .limit(limit)
    .select({
      id: 'a.radacctid',
      session_id: 'a.acctsessionid',
      username: 'a.username',
      subscriber_id: 'n.subscriber_id',
      ipv4: 'a.framedipaddress',
      delegated: 'a.delegatedipv6prefix',
      mac: 'a.callingstationid',
      started_at: 'a.acctstarttime',
      stopped_at: 'a.acctstoptime',
    });
  return rows.map((row) => ({
    id: row['id'] as SessionId,
    sessionId: row['session_id'] ?? '',
    username: row['username'] ?? '',
    subscriberId: (row['subscriber_id'] ?? null) as SubscriberId | null,
    address: [row['ipv4'], row['delegated']].filter((text) => text != null && text !== '').join(', '),
    mac: row['mac'] ?? '',
    startedAt: row['started_at'] == null ? null : fromSqlInstant(row['started_at']),
    isOpen: row['stopped_at'] === null,
  }));
}

export interface FoundRouter {
  readonly id: RouterId;
  readonly name: string;
  readonly address: string;
}

/** Routers with that address, or whose name begins with the text. */
export async function routersNamed(db: Db, terms: SearchTerms, limit: number): Promise<FoundRouter[]> {
  const address = terms.ipv4 ?? terms.ipv6?.address ?? null;
  const query = db('router').orderBy('live_name').limit(limit);
  if (address !== null) void query.where('live_address', address);
  else if (terms.reference !== null) void query.where('live_name', 'like', startsWith(terms.reference));
  else return [];
  return query.select<FoundRouter[]>('id', 'name', 'address');
}
