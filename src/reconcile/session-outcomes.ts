import type { Knex } from 'knex';
import type { CoaOutcome } from '../adapters/radius/coa-client.ts';
import {
  clearDoubt,
  type EvidenceOutcome,
  recordAccess,
  recordClaimedGone,
  recordOutcomes,
} from '../db/enforcement.ts';
import { inTransaction, isPassing } from '../db/knex.ts';
import { fail, finish, release } from '../db/reconcile-queue.ts';
import { decideAfterRefusal, isDoubtOver } from '../domain/enforcement.ts';
import { describeError, type Log } from '../log.ts';
import { hasOf, type Sending } from './session.ts';

export interface Result {
  readonly sending: Sending;
  readonly outcome: CoaOutcome;
  readonly at: Date;
  /** It went out to try an open breaker: failing is the router's, not this key's. */
  readonly isProbe: boolean;
}

/** The Stop follows within seconds, where it follows. */
export const firstStopCheckMs = 5000;

/**
 * Records, and never throws. Where one of them cannot be written the others are written without it. What is not written
 * stays pending and its access in doubt, so that the next look sends again rather than believe.
 */
export async function recordApart(
  deps: { db: Knex; log: Log },
  results: readonly Result[],
  options: { assertAgainAfterMs: number },
): Promise<void> {
  try {
    await recordResults(deps.db, results, options);
  } catch (error) {
    if (results.length > 1 && !isPassing(error)) {
      const half = Math.ceil(results.length / 2);
      await recordApart(deps, results.slice(0, half), options);
      await recordApart(deps, results.slice(half), options);
      return;
    }
    deps.log.error('outcomes not recorded', { error: describeError(error), count: results.length });
    const claims = results.map(({ sending }) => sending.claim);
    await release(deps.db, claims, 1000).catch(() => undefined);
  }
}

/**
 * Writes down what became of a batch of packets, and what the sessions have by now; then gives the keys back: done, to be
 * tried again later, or to be looked at again.
 */
export async function recordResults(
  db: Knex,
  results: readonly Result[],
  options: { assertAgainAfterMs: number },
): Promise<void> {
  const acknowledged = results.filter(({ sending, outcome }) => isCoa(sending) && outcome.kind === 'ack');
  const refused = results.filter(({ sending, outcome }) => isCoa(sending) && outcome.kind === 'nak');
  const gone = results.filter((result) => nextStep(result) === 'gone');
  const at = results[0]?.at;
  if (at === undefined) return;
  await inTransaction(db, async (trx) => {
    await recordOutcomes(trx, results.map(evidenceOutcome));
    await recordAccess(
      trx,
      acknowledged.map(({ sending }) => ({
        sessionId: sending.facts.id,
        loginId: sending.evidence.loginId,
        accessFingerprint: sending.evidence.accessFingerprint,
        redialFingerprint: sending.evidence.redialFingerprint,
        generation: sending.evidence.generation,
        isDoubtOver: isOver(sending),
      })),
      at,
    );
    await clearDoubt(
      trx,
      refused.map(({ sending }) => ({
        sessionId: sending.facts.id,
        generation: sending.evidence.generation,
      })),
    );
    await recordClaimedGone(
      trx,
      gone.map(({ sending }) => ({
        sessionId: sending.facts.id,
        loginId: sending.evidence.loginId,
        ...hasOf(sending.facts),
      })),
      at,
    );
  });
  const claimsOf = (...steps: Step[]) =>
    results.filter((result) => steps.includes(nextStep(result))).map(({ sending }) => sending.claim);
  await finish(db, claimsOf('done', 'gone'));
  await release(db, claimsOf('look_again'));
  await release(db, claimsOf('assert_again'), options.assertAgainAfterMs);
  await fail(
    db,
    results
      .filter((result) => nextStep(result) === 'try_again')
      .map(({ sending, outcome }) => ({ claim: sending.claim, error: errorText(sending, outcome) })),
  );
}

type Step = 'done' | 'gone' | 'look_again' | 'assert_again' | 'try_again';

function nextStep({ sending, outcome, isProbe }: Result): Step {
  switch (outcome.kind) {
    case 'ack':
      return isCoa(sending) && !isOver(sending) ? 'assert_again' : 'done';
    case 'nak': {
      const step = decideAfterRefusal(sending.evidence.action, outcome.errorCause);
      if (step === 'claimed_gone') return 'gone';
      // The next look finds the refusal and decides on a Disconnect.
      return step === 'disconnect' ? 'look_again' : 'try_again';
    }
    case 'timeout':
      return isProbe ? 'look_again' : 'try_again';
    case 'superseded':
    case 'abandoned':
      return 'look_again';
    case 'unsent':
      return isProbe ? 'look_again' : 'try_again';
  }
}

function isCoa(sending: Sending): boolean {
  return sending.evidence.action === 'coa';
}

function isOver({ facts, evidence }: Sending): boolean {
  return isDoubtOver(facts.state, evidence.generation);
}

function evidenceOutcome({ sending, outcome, at }: Result): EvidenceOutcome {
  const isAnswered = outcome.kind === 'ack' || outcome.kind === 'nak';
  const mayHaveEnded =
    sending.evidence.action === 'disconnect' && outcome.kind !== 'nak' && outcome.kind !== 'unsent';
  return {
    id: sending.evidenceId,
    outcome: outcome.kind,
    answeredAt: isAnswered ? at : null,
    errorCause: outcome.kind === 'nak' ? outcome.errorCause : null,
    roundTripUs: isAnswered ? outcome.roundTripUs : null,
    attempts: outcome.kind === 'unsent' ? 0 : outcome.attempts,
    detail: outcome.kind === 'unsent' ? outcome.why : null,
    nextCheckAt: mayHaveEnded ? new Date(at.getTime() + firstStopCheckMs) : null,
  };
}

/** For whoever reads Needs attention. */
function errorText({ evidence }: Sending, outcome: CoaOutcome): string {
  const what = evidence.action === 'coa' ? 'CoA' : 'Disconnect';
  switch (outcome.kind) {
    case 'nak':
      return `${what} refused, Error-Cause ${outcome.errorCause ?? 'not given'}`;
    case 'timeout':
      return `${what} got no answer to ${outcome.attempts} packets`;
    case 'unsent':
      return `${what} not sent: ${outcome.why}`;
    default:
      return `${what}: ${outcome.kind}`;
  }
}
