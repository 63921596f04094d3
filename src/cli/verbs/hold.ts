import { holdSubscription } from '../../subscribers/hold.ts';
import { subscriptionsNamed, targetOption } from '../subject.ts';
import { refuse } from '../refusal.ts';
import { count } from '../format.ts';
import type { Verb } from '../verb.ts';
import { optional } from '../optional.ts';

const refusals = {
  already_held: 'It is held for that cause already; nothing was changed.',
  terminated: 'The subscription has ended; there is nothing to hold.',
} as const;

export const hold: Verb = {
  name: 'hold',
  group: 'Access',
  summary: 'suspends by hand, until somebody lifts it',
  positionals: [{ name: 'WHO' }],
  options: {
    note: { value: 'TEXT', about: 'why; whoever looks at it later reads this' },
    cause: { value: 'CAUSE', about: 'staff, fraud or vacation; staff where it is left out' },
    effect: { value: 'EFFECT', about: 'block, throttle or walled_garden; block where it is left out' },
    rate: { value: 'RATE', about: 'upload/download for the effect throttle, such as 512k/512k' },
  },
  details: [
    targetOption,
    'A payment does not end a hold. The live session follows at once: a CoA for a throttle, else a Disconnect.',
  ],
  examples: [
    'hold amina --note "asked for a pause of a week"',
    'hold "#17" --cause fraud --effect walled_garden --note "chargeback, see mail of Monday"',
  ],
  async run(call) {
    const target = await subscriptionsNamed(call.app().db, call.positional('WHO'));
    const result = await holdSubscription(call.context(), {
      ...target,
      cause: call.maybeText('cause') ?? 'staff',
      effect: call.maybeText('effect') ?? 'block',
      ...optional('throttleRate', call.maybeText('rate')),
      note: call.text('note'),
    });
    if (!result.ok) return refuse(call, result, refusals[result.reason]);
    call.out.show(result, () => [
      `Held: ${count(result.held.length, 'subscription')}.`,
      ...(result.already.length === 0
        ? []
        : [`Held before: ${count(result.already.length, 'subscription')}.`]),
    ]);
    return undefined;
  },
};
