import { type Db, sqlInstant } from './knex.ts';

export interface Activity {
  at: Date;
  actor: string;
  verb: string;
  subject: { kind: string; id: string | null };
  correlationId: string;
  outcome?: string;
  subscriberId?: string | null;
  loginId?: string | null;
  routerId?: string | null;
  /** Before and after, or whatever explains the act; the caller leaves secrets out. */
  diff?: Record<string, unknown>;
}

/** Appends to the activity log. Nothing is ever changed or removed there. */
export async function recordActivity(db: Db, activities: Activity | readonly Activity[]): Promise<void> {
  const list: readonly Activity[] = Array.isArray(activities) ? activities : [activities as Activity];
  if (list.length === 0) return;
  await db('activity').insert(
    list.map((activity) => ({
      at: sqlInstant(activity.at),
      actor: activity.actor,
      verb: activity.verb,
      subject_kind: activity.subject.kind,
      subject_id: activity.subject.id,
      subscriber_id: activity.subscriberId ?? null,
      login_id: activity.loginId ?? null,
      router_id: activity.routerId ?? null,
      correlation_id: activity.correlationId,
      diff: JSON.stringify(activity.diff ?? {}, (_, value: unknown) =>
        typeof value === 'bigint' ? value.toString() : value,
      ),
      outcome: activity.outcome ?? 'done',
    })),
  );
}
