import { byIndex, inOrder, type Place } from './keyset.ts';
import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';

export interface ActivityFilter {
  readonly actor?: string;
  readonly verb?: string;
  readonly subscriberId?: string;
  readonly routerId?: string;
  /** Everything that one request, run or tick did. */
  readonly correlationId?: string;
  readonly from?: Date;
  readonly before?: Date;
}

export interface ActivityRow {
  readonly id: string;
  readonly at: Date;
  readonly actor: string;
  readonly onBehalfOf: string | null;
  readonly verb: string;
  readonly subjectKind: string;
  readonly subjectId: string | null;
  readonly subscriberId: string | null;
  readonly loginId: string | null;
  readonly routerId: string | null;
  readonly correlationId: string;
  readonly diff: string;
  readonly outcome: string;
}

/** A page of the activity log, the newest first. */
export async function activityPage(
  db: Db,
  filter: ActivityFilter,
  place: Place | null,
  limit: number,
): Promise<ActivityRow[]> {
  const query = byIndex(db, 'activity', indexFor(filter));
  if (filter.actor !== undefined) void query.where('actor', filter.actor);
  if (filter.verb !== undefined) void query.where('verb', filter.verb);
  if (filter.subscriberId !== undefined) void query.where('subscriber_id', filter.subscriberId);
  if (filter.routerId !== undefined) void query.where('router_id', filter.routerId);
  if (filter.correlationId !== undefined) void query.where('correlation_id', filter.correlationId);
  if (filter.from !== undefined) void query.where('at', '>=', sqlInstant(filter.from));
  if (filter.before !== undefined) void query.where('at', '<', sqlInstant(filter.before));
  const rows = await inOrder(db, query, { columns: ['at', 'id'], way: 'desc' }, place)
    .limit(limit)
    .select<Record<string, string | null>[]>('*');
  return rows.map((row) => ({
    id: row['id'] ?? '',
    at: fromSqlInstant(row['at'] ?? ''),
    actor: row['actor'] ?? '',
    onBehalfOf: row['on_behalf_of'] ?? null,
    verb: row['verb'] ?? '',
    subjectKind: row['subject_kind'] ?? '',
    subjectId: row['subject_id'] ?? null,
    subscriberId: row['subscriber_id'] ?? null,
    loginId: row['login_id'] ?? null,
    routerId: row['router_id'] ?? null,
    correlationId: row['correlation_id'] ?? '',
    diff: row['diff'] ?? '{}',
    outcome: row['outcome'] ?? '',
  }));
}

export function activityPlace(row: ActivityRow): string[] {
  return [sqlInstant(row.at), row.id];
}

/** The narrowest index that what is asked for has. */
function indexFor(filter: ActivityFilter): string {
  if (filter.correlationId !== undefined) return 'activity_correlation';
  if (filter.subscriberId !== undefined) return 'activity_subscriber';
  if (filter.routerId !== undefined) return 'activity_router';
  if (filter.actor !== undefined) {
    return filter.verb === undefined ? 'activity_actor' : 'activity_actor_verb';
  }
  return filter.verb === undefined ? 'activity_at' : 'activity_verb';
}

/** Which days of the log are sealed. */
export async function lastActivitySeal(
  db: Db,
): Promise<{ day: string; rowCount: number; sealedAt: Date } | undefined> {
  const row = await db('activity_seal')
    .orderBy('day', 'desc')
    .first<{ day: string; row_count: number; sealed_at: string } | undefined>();
  return row === undefined
    ? undefined
    : { day: row.day, rowCount: Number(row.row_count), sealedAt: fromSqlInstant(row.sealed_at) };
}

/** The verbs and the actors that there are: one look into the index for each of them. */
export async function activityChoices(db: Db): Promise<{ verbs: string[]; actors: string[] }> {
  const [verbs, actors] = await Promise.all(
    (['verb', 'actor'] as const).map((column) =>
      byIndex(db, 'activity', `activity_${column}`).groupBy(column).limit(200).pluck<string[]>(column),
    ),
  );
  return { verbs: verbs ?? [], actors: actors ?? [] };
}
