import type { Knex } from 'knex';
import type { Clock } from '../clock.ts';
import type { Wake } from '../command.ts';
import { requestReconcile } from '../db/reconcile-requests.ts';
import { loginsAfter, loginsDueForReview } from '../db/sweep-facts.ts';
import type { LoginId } from '../domain/ids.ts';

export interface SweepDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly wake: Wake;
  /** Of the tick that sweeps; the decisions and their history carry it. */
  readonly correlationId: string;
}

const chunkSize = 500;
/** A fence: what is left after so many is found by the next call. */
const chunksMax = 2000;

/**
 * Requests the logins whose answer can have changed by itself: prepaid validity that ended, and the like. Called often;
 * a missed or doubled call changes nothing, because what is due is in the database. Gives how many were requested.
 */
export async function sweepDueReviews(deps: SweepDeps): Promise<number> {
  const now = deps.clock.now();
  let requested = 0;
  for (let chunk = 0; chunk < chunksMax; chunk++) {
    const due = await loginsDueForReview(deps.db, now, chunkSize);
    await request(deps, due);
    requested += due.length;
    if (due.length < chunkSize) break;
  }
  if (requested > 0) deps.wake('worker');
  return requested;
}

/**
 * Requests every login that RADIUS knows or should know, so that whatever was lost or edited by hand is set right within
 * a day. It goes last in the queue, and what waits there already is left alone. Gives how many were requested.
 */
export async function sweepAllLogins(deps: SweepDeps): Promise<number> {
  let requested = 0;
  let after: LoginId | null = null;
  for (;;) {
    const page: { id: LoginId; isWaiting: boolean }[] = await loginsAfter(deps.db, after, chunkSize);
    const free = page.filter((login) => !login.isWaiting).map((login) => login.id);
    await request(deps, free);
    requested += free.length;
    after = page.at(-1)?.id ?? after;
    if (page.length < chunkSize) break;
  }
  if (requested > 0) deps.wake('worker');
  return requested;
}

async function request(deps: SweepDeps, ids: readonly LoginId[]): Promise<void> {
  await requestReconcile(
    deps.db,
    ids.map((id) => ({ kind: 'login', key: id })),
    { priority: 'sweep', requestedBy: deps.correlationId },
  );
}
