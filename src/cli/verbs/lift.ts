import type { SuspensionCause } from '../../domain/access-types.ts';
import { liftSuspension } from '../../subscribers/lift.ts';
import { optional } from '../optional.ts';
import { refuse } from '../refusal.ts';
import { subscriptionsNamed, targetOption } from '../subject.ts';
import type { Verb } from '../verb.ts';

export const lift: Verb = {
  name: 'lift',
  group: 'Access',
  summary: 'ends a suspension by hand, overdue ones with a deferral',
  positionals: [{ name: 'WHO' }],
  options: {
    note: { value: 'TEXT', about: 'why; whoever looks at it later reads this' },
    cause: { value: 'CAUSE', about: 'overdue, staff, fraud or vacation; needed where several are open' },
    'until-on': { value: 'DAY', about: 'first day on which the overdue run may act again' },
  },
  details: [
    targetOption,
    'Lifting an overdue suspension leaves the debt as it is and keeps the overdue run away until --until-on (else so many days as the settings say).',
  ],
  examples: [
    'lift amina --note "hospital, pays on the 5th" --until-on 2026-12-06',
    'lift amina --cause staff --note "cleared"',
  ],
  async run(call) {
    const target = await subscriptionsNamed(call.app().db, call.positional('WHO'));
    const result = await liftSuspension(call.context(), {
      ...target,
      ...optional('cause', call.maybeText('cause') as SuspensionCause | undefined),
      ...optional('untilOn', call.day('until-on')),
      note: call.text('note'),
    });
    if (!result.ok) {
      const text =
        result.reason === 'nothing_open'
          ? 'Nothing of that kind is open; nothing was changed.'
          : `Several are open: ${result.causes.join(', ')}. Say which with --cause.`;
      return refuse(call, result, text);
    }
    call.out.show(result, () => [
      ...result.lifted.map((lifted) => `Lifted: ${lifted.cause} on subscription ${lifted.subscriptionId}.`),
      ...(result.deferredUntil === null ? [] : [`The overdue run stays away until ${result.deferredUntil}.`]),
    ]);
    return undefined;
  },
};
