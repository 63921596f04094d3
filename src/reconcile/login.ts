import type { Knex } from 'knex';
import type { Vault } from '../adapters/vault.ts';
import type { Clock } from '../clock.ts';
import type { Wake } from '../command.ts';
import { type Decided, saveDecisions } from '../db/access-decisions.ts';
import { type FactsOf, type LoginFacts, loginFacts } from '../db/account-facts.ts';
import { inTransaction, isPassing, type Trx } from '../db/knex.ts';
import { alignRows, type DesiredRows } from '../db/radius-rows.ts';
import { type Claim, fail, release } from '../db/reconcile-queue.ts';
import { priorities, type Priority } from '../db/reconcile-requests.ts';
import { requestDifferingSessions } from '../db/sessions.ts';
import { readSettings } from '../db/settings.ts';
import { takeWanted } from '../db/wanted.ts';
import { decideAccess, hasRadiusRows } from '../domain/access.ts';
import { asId, type LoginId } from '../domain/ids.ts';
import { type Projector, projector, radiusSettingsOf } from '../domain/radius-attributes.ts';
import { describeError, type Log } from '../log.ts';

export interface LoginReconcileDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly vault: Vault;
  readonly wake: Wake;
}

export interface LoginPace {
  /** Logins of one transaction, asked before each; 500 and no more. */
  readonly size?: () => number;
  /** What is not begun by then is given back. */
  readonly isStopping?: () => boolean;
}

/** What one look at a batch came to. */
export interface LoginOutcome {
  /** Keys that are as they should be now, whether or not anything had to be written. */
  done: number;
  failed: number;
  /** radcheck and radreply rows that were written or removed. */
  rows: number;
  decisions: number;
  sessions: number;
}

/**
 * Makes FreeRADIUS's rows, the stored decision and the wishes for live sessions of these logins what their facts say:
 * load facts, decide, project, and in one transaction write what differs and take the wishes out of the queue. The same
 * path serves a payment, a run, the sweep and the command line.
 *
 * Facts are read before the transaction, and it drops the keys that anybody asked for since: whoever changes a fact asks
 * for its login in the same transaction, so what is written is never older than the newest wish. One login that cannot
 * be read or written fails alone. A database that cannot be reached is thrown, and so is a setting that cannot be read.
 */
export async function reconcileLogins(
  deps: LoginReconcileDeps,
  claims: readonly Claim[],
  pace: LoginPace = {},
): Promise<LoginOutcome> {
  const total: LoginOutcome = { done: 0, failed: 0, rows: 0, decisions: 0, sessions: 0 };
  const projectLogin = projector(radiusSettingsOf(await readSettings(deps.db)));
  const left = [...claims].sort((a, b) => Number(BigInt(a.key) - BigInt(b.key)));
  while (left.length > 0 && pace.isStopping?.() !== true) {
    const chunk = left.splice(0, pace.size?.() ?? 500);
    const { outcome, dropped, failures } = await lookAndWrite(deps, projectLogin, chunk);
    // Here every COMMIT has returned, and what was fulfilled has left the queue with it.
    if (dropped.length > 0) await release(deps.db, dropped);
    if (outcome.sessions > 0) deps.wake('lane');
    await giveUp(deps, failures);
    add(total, outcome);
  }
  await release(deps.db, left);
  deps.log.debug('logins reconciled', { ...total, keys: claims.length });
  return total;
}

interface Looked {
  readonly outcome: LoginOutcome;
  /** Somebody asked for these again meanwhile, or has them by now: the wish that was claimed is over. */
  readonly dropped: Claim[];
  readonly failures: Failure[];
}

interface Failure {
  readonly claim: Claim;
  readonly error: string;
}

function add(total: LoginOutcome, part: LoginOutcome): void {
  for (const name of Object.keys(total) as (keyof LoginOutcome)[]) total[name] += part[name];
}

async function lookAndWrite(
  deps: LoginReconcileDeps,
  projectLogin: Projector,
  claims: readonly Claim[],
): Promise<Looked> {
  try {
    return await lookAndWriteTogether(deps, projectLogin, claims);
  } catch (error) {
    const [only, ...others] = claims;
    if (isPassing(error) || only === undefined) throw error;
    if (others.length === 0) return failed([{ claim: only, error: describeError(error).message }]);
    // One of them cannot be written: halves find it, and the others go on.
    const half = Math.ceil(claims.length / 2);
    const first = await lookAndWrite(deps, projectLogin, claims.slice(0, half));
    const second = await lookAndWrite(deps, projectLogin, claims.slice(half));
    add(first.outcome, second.outcome);
    return {
      outcome: first.outcome,
      dropped: [...first.dropped, ...second.dropped],
      failures: [...first.failures, ...second.failures],
    };
  }
}

function failed(failures: Failure[]): Looked {
  return {
    outcome: { done: 0, failed: failures.length, rows: 0, decisions: 0, sessions: 0 },
    dropped: [],
    failures,
  };
}

async function lookAndWriteTogether(
  deps: LoginReconcileDeps,
  projectLogin: Projector,
  claims: readonly Claim[],
): Promise<Looked> {
  const now = deps.clock.now();
  const facts = await loginFacts(
    deps.db,
    claims.map((claim) => asId<LoginId>(claim.key)),
  );
  const failures: Failure[] = [];
  const looked: { claim: Claim; desired: Desired | undefined }[] = [];
  for (const claim of claims) {
    const result = desiredOf(deps.vault, facts.get(asId(claim.key)), { projectLogin, now, claim });
    if (result.ok) looked.push({ claim, desired: result.desired });
    else failures.push({ claim, error: result.error });
  }
  const { done, ...written } = await inTransaction(deps.db, (trx) => write(trx, looked, now));
  const fulfilled = new Set(done.map((claim) => claim.id));
  return {
    outcome: { ...written, done: done.length, failed: failures.length },
    dropped: looked.map((one) => one.claim).filter((claim) => !fulfilled.has(claim.id)),
    failures,
  };
}

interface Desired {
  readonly rows: DesiredRows;
  readonly decided: Decided;
}

/** Undefined where there is no such login: nothing to do, and nothing to fail. */
function desiredOf(
  vault: Vault,
  found: FactsOf | undefined,
  look: { projectLogin: Projector; now: Date; claim: Claim },
): { ok: true; desired: Desired | undefined } | { ok: false; error: string } {
  if (found === undefined) return { ok: true, desired: undefined };
  if (!found.ok) return { ok: false, error: found.error };
  const { facts } = found;
  const password = openPassword(vault, facts);
  if (password === undefined) {
    return { ok: false, error: 'the password does not open with the keys that are configured: set it again' };
  }
  const decision = decideAccess(facts, look.now);
  try {
    const projection = look.projectLogin(facts, decision, password);
    const { accessFingerprint, redialFingerprint, coaAttributes } = projection;
    const { check, reply } = hasRadiusRows(facts, look.now) ? projection : { check: [], reply: [] };
    return {
      ok: true,
      desired: {
        rows: { username: facts.username, check, reply },
        decided: {
          loginId: facts.loginId,
          decision,
          accessFingerprint,
          redialFingerprint,
          coaAttributes,
          requestedBy: look.claim.requestedBy,
        },
      },
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { ok: false, error: error.message };
  }
}

function openPassword(vault: Vault, facts: LoginFacts): string | undefined {
  try {
    return vault.open(`login.secret:${facts.loginId}`, facts.secret);
  } catch {
    return undefined;
  }
}

async function write(
  trx: Trx,
  looked: readonly { claim: Claim; desired: Desired | undefined }[],
  now: Date,
): Promise<Omit<LoginOutcome, 'failed' | 'done'> & { done: Claim[] }> {
  const wanted = await takeWanted(
    trx,
    looked.map((one) => one.claim),
  );
  const ids = new Set(wanted.map((claim) => claim.id));
  const desired = looked.flatMap((one) =>
    ids.has(one.claim.id) && one.desired !== undefined ? [one.desired] : [],
  );
  if (desired.length === 0) return { done: wanted, rows: 0, decisions: 0, sessions: 0 };
  const changes = await alignRows(
    trx,
    desired.map((one) => one.rows),
  );
  const decisions = await saveDecisions(
    trx,
    desired.map((one) => one.decided),
    now,
  );
  const sessions = await requestSessions(trx, wanted);
  return {
    done: wanted,
    rows: changes.added + changes.changed + changes.removed,
    decisions,
    sessions,
  };
}

/** More causes than this in one batch are not told apart: a statement for each would make the batch slow. */
const causesMax = 50;

/** Sessions inherit who asked and how urgently, so that a payment is not overtaken on its way to the router. */
async function requestSessions(trx: Trx, claims: readonly Claim[]): Promise<number> {
  const causes = new Set(claims.map((claim) => claim.requestedBy));
  const byCause = new Map<string, { why: { priority: Priority; requestedBy: string }; ids: LoginId[] }>();
  for (const claim of claims) {
    const requestedBy = causes.size > causesMax ? 'several' : claim.requestedBy;
    const key = `${claim.priority} ${requestedBy}`;
    const group = byCause.get(key) ?? { why: { priority: priorityOf(claim.priority), requestedBy }, ids: [] };
    group.ids.push(asId<LoginId>(claim.key));
    byCause.set(key, group);
  }
  let requested = 0;
  for (const { why, ids } of byCause.values()) requested += await requestDifferingSessions(trx, ids, why);
  return requested;
}

function priorityOf(value: number): Priority {
  const found = (Object.keys(priorities) as Priority[]).find((name) => priorities[name] <= value);
  return found ?? 'sweep';
}

async function giveUp(deps: LoginReconcileDeps, failures: readonly Failure[]): Promise<void> {
  if (failures.length === 0) return;
  await fail(deps.db, failures);
  for (const { claim, error } of failures.slice(0, 20)) {
    deps.log.error('login not reconciled', { login: claim.key, attempts: claim.attempts + 1, why: error });
  }
}
