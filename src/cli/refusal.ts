import type { Call } from './verb.ts';

/** A refusal is an answer, not an accident: its reason as data, a sentence for people, exit code 1. */
export function refuse(call: Call, result: { ok: false; reason: string }, sentence: string): number {
  if (call.out.isJson) call.out.show(result, () => []);
  else call.out.note(`sluice: ${sentence}`);
  return 1;
}
