import type { LoginId, SubscriberId } from '../domain/ids.ts';
import { type Db, fromSqlInstant } from './knex.ts';
import {
  activityDetails,
  type ActivityDetail,
  changeDetails,
  type ChangeDetail,
  moneyDetails,
  type MoneyDetail,
  packetDetails,
  type PacketDetail,
  rejectDetails,
  type RejectDetail,
  sessionDetails,
  type SessionDetail,
} from './timeline-details.ts';

/** One line of a subscriber's timeline, with what proves it. */
export type TimelineEntry = TimelineHead &
  (
    | { readonly source: 'activity'; readonly activity: ActivityDetail }
    | { readonly source: 'money'; readonly money: MoneyDetail }
    | { readonly source: 'access'; readonly change: ChangeDetail }
    | { readonly source: 'packet'; readonly packet: PacketDetail }
    | { readonly source: 'stop' | 'start'; readonly session: SessionDetail }
    | { readonly source: 'reject'; readonly reject: RejectDetail }
  );

export type TimelineSource = (typeof timelineSources)[number];

interface TimelineHead {
  readonly key: TimelineKey;
  readonly at: Date;
}

/** Where an entry stands: instant, then the source's rank, then its row. As text, for a cursor. */
export interface TimelineKey {
  readonly at: string;
  readonly rank: number;
  readonly id: string;
}

/**
 * In the order in which things follow one another at one instant: what somebody did, what it posted, what was decided,
 * what was sent, what came of it.
 */
export const timelineSources = ['activity', 'money', 'access', 'packet', 'stop', 'start', 'reject'] as const;

interface Source {
  readonly table: string;
  readonly id: string;
  readonly at: string;
  readonly of: 'subscriber_id' | 'login_id' | 'username';
  readonly index: string;
  readonly where?: string;
}

/** Each source has an index of its own in which one subscriber's or login's rows stand in time. */
const sources: Readonly<Record<TimelineSource, Source>> = {
  activity: {
    table: 'activity',
    id: 'id',
    at: 'at',
    of: 'subscriber_id',
    index: 'activity_timeline',
    // Their ledger entries stand in the timeline.
    where: "verb NOT IN ('payment.record', 'payment.reverse')",
  },
  money: {
    table: 'ledger_entry',
    id: 'id',
    at: 'posted_at',
    of: 'subscriber_id',
    index: 'ledger_entry_timeline',
  },
  access: { table: 'access_change', id: 'id', at: 'at', of: 'login_id', index: 'access_change_timeline' },
  packet: { table: 'enforcement', id: 'id', at: 'sent_at', of: 'login_id', index: 'enforcement_timeline' },
  stop: { table: 'radacct', id: 'radacctid', at: 'acctstoptime', of: 'username', index: 'radacct_user' },
  start: {
    table: 'radacct',
    id: 'radacctid',
    at: 'acctstarttime',
    of: 'username',
    index: 'radacct_user_start',
  },
  reject: { table: 'radpostauth', id: 'id', at: 'authdate', of: 'username', index: 'radpostauth_user' },
};

export interface TimelineOf {
  readonly subscriberId: SubscriberId;
  readonly logins: readonly { readonly id: LoginId; readonly username: string }[];
}

/**
 * A page of a subscriber's timeline, newest first. Each source gives at most `limit` rows of each key from its index,
 * older than the cursor; what is kept of them is then read by primary key. So a page costs the same wherever it is.
 */
export async function timelineOf(
  db: Db,
  whose: TimelineOf,
  page: { limit: number; before?: TimelineKey; only?: readonly TimelineSource[] },
): Promise<TimelineEntry[]> {
  const branches = (page.only ?? timelineSources).flatMap((source) =>
    keysOf(source, whose).map((key) => branchOf(source, key, page)),
  );
  if (branches.length === 0) return [];
  const [rows] = (await db.raw(
    `SELECT source, id, at FROM (${branches.map((branch) => `(${branch.sql})`).join(' UNION ALL ')}) merged
     ORDER BY at DESC, source DESC, id DESC LIMIT ?`,
    [...branches.flatMap((branch) => branch.bindings), page.limit],
  )) as unknown as [{ source: number; id: string; at: string }[]];
  const idsOf = (...wanted: TimelineSource[]) =>
    rows.filter((row) => wanted.includes(sourceAt(row.source))).map((row) => row.id);
  const [activities, money, changes, packets, sessions, rejects] = await Promise.all([
    activityDetails(db, idsOf('activity')),
    moneyDetails(db, idsOf('money')),
    changeDetails(db, idsOf('access')),
    packetDetails(db, idsOf('packet')),
    sessionDetails(db, idsOf('start', 'stop')),
    rejectDetails(db, idsOf('reject')),
  ]);
  return rows.flatMap((row): TimelineEntry[] => {
    const source = sourceAt(row.source);
    const head = {
      key: { at: row.at, rank: Number(row.source), id: row.id },
      at: fromSqlInstant(row.at),
    };
    // A row that was archived between the two looks is left out.
    switch (source) {
      case 'activity':
        return some(activities.get(row.id), (activity) => ({ ...head, source, activity }));
      case 'money':
        return some(money.get(row.id), (one) => ({ ...head, source, money: one }));
      case 'access':
        return some(changes.get(row.id), (change) => ({ ...head, source, change }));
      case 'packet':
        return some(packets.get(row.id), (packet) => ({ ...head, source, packet }));
      case 'start':
      case 'stop':
        return some(sessions.get(row.id), (session) => ({ ...head, source, session }));
      case 'reject':
        return some(rejects.get(row.id), (reject) => ({ ...head, source, reject }));
    }
  });
}

function some<D>(detail: D | undefined, entry: (detail: D) => TimelineEntry): TimelineEntry[] {
  return detail === undefined ? [] : [entry(detail)];
}

function sourceAt(rank: number): TimelineSource {
  return timelineSources[rank] ?? 'activity';
}

function keysOf(source: TimelineSource, whose: TimelineOf): string[] {
  switch (sources[source].of) {
    case 'subscriber_id':
      return [whose.subscriberId];
    case 'login_id':
      return whose.logins.map((login) => login.id);
    case 'username':
      return whose.logins.map((login) => login.username);
  }
}

/** One index range, walked backwards: of one instant only what stands behind the cursor. */
function branchOf(
  source: TimelineSource,
  key: string,
  page: { limit: number; before?: TimelineKey },
): { sql: string; bindings: (string | number)[] } {
  const { table, id, at, of, index, where } = sources[source];
  const rank = timelineSources.indexOf(source);
  const { before } = page;
  const [older, olderBindings] =
    before === undefined
      ? [`${at} IS NOT NULL`, []]
      : rank > before.rank
        ? [`${at} < ?`, [before.at]]
        : rank < before.rank
          ? [`${at} <= ?`, [before.at]]
          : [`${at} <= ? AND (${at} < ? OR ${id} < ?)`, [before.at, before.at, before.id]];
  return {
    sql: `SELECT ${rank} AS source, ${id} AS id, CAST(${at} AS DATETIME(3)) AS at FROM ${table} FORCE INDEX (${index})
      WHERE ${of} = ? AND ${older}${where === undefined ? '' : ` AND ${where}`}
      ORDER BY ${at} DESC, ${id} DESC LIMIT ?`,
    bindings: [key, ...olderBindings, page.limit],
  };
}
