import type { ApplyResult } from '../billing/overdue-run-apply.ts';
import type { CancelResult } from '../billing/overdue-run.ts';
import { runState } from './run-words.ts';

/** Why a run is not applied, and what to do instead. */
export function applyRefused(refused: Extract<ApplyResult, { ok: false }>): string {
  const { run } = refused;
  switch (refused.reason) {
    case 'future_as_of':
      return `Not applied: the run is as of ${run.asOf}, which is still to come. It can be applied from that day on; until then it is a preview.`;
    case 'not_planned_yet':
      return 'Not applied: the run is still being planned.';
    case 'not_approved':
      return `Not applied: the run is held, because it ${run.heldBecause ?? 'is unusually large'}. Another person has to approve it first.`;
    case 'stopped':
      return `The run was stopped by somebody else; it is ${runState(run.state).word.toLowerCase()} now.`;
    case 'cancelled':
      return 'Not applied: the run was cancelled. Plan a new one.';
    case 'rolled_back':
      return 'Not applied: the run was rolled back. Plan a new one.';
  }
}

export function cancelRefused(refused: Extract<CancelResult, { ok: false }>): string {
  if (refused.reason === 'applying')
    return 'Not cancelled: the run is being applied already. Rolling it back stops it and takes back what it did.';
  return `Not cancelled: the run is ${runState(refused.run.state).word.toLowerCase()} already.`;
}
