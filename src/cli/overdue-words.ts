import { asId, type OverdueRunId } from '../domain/ids.ts';
import { invalid } from '../errors.ts';

export function runIdOf(text: string, field: string): OverdueRunId {
  try {
    return asId(text);
  } catch {
    throw invalid(field, 'must be the number of a run; "sluice overdue-run list" lists them');
  }
}

export function effectText(action: { effect: string; throttleRate: string | null }): string {
  const words = action.effect.replaceAll('_', ' ');
  return action.throttleRate === null || action.effect !== 'throttle'
    ? words
    : `${words} to ${action.throttleRate}`;
}
