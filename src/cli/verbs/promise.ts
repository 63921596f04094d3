import { promiseToPay } from '../../billing/promises.ts';
import { UsageError, type Verb } from '../verb.ts';
import { refuse } from '../refusal.ts';
import { requireSubscriber } from '../subject.ts';
import { count } from '../format.ts';

export const promise: Verb = {
  name: 'promise',
  group: 'Money',
  summary: 'notes a promise to pay: service comes back now',
  positionals: [{ name: 'WHO' }],
  options: {
    by: { value: 'DAY', about: 'the last day on which they mean to pay' },
    note: { value: 'TEXT', about: 'what was said' },
  },
  details: ['WHO is a username or #number of a subscriber. A hold of staff stays as it is.'],
  examples: ['promise amina --by 2026-12-05 --note "salary on the 4th"'],
  async run(call) {
    const subscriberId = await requireSubscriber(call.app().db, call.positional('WHO'));
    const payBy = call.day('by');
    if (payBy === undefined) throw new UsageError('--by: is missing');
    const result = await promiseToPay(call.context(), { subscriberId, payBy, note: call.text('note') });
    if (!result.ok) return refuse(call, result, 'The subscriber has no subscription that lives.');
    call.out.show(result, () => [
      `Restored: ${count(result.restored.length, 'suspension')} closed.`,
      `The overdue run stays away until ${result.deferredUntil}.`,
    ]);
    return undefined;
  },
};
