import { z } from 'zod';
import { line, oneOf, wholeNumber } from '../input.ts';
import { rateLimit } from './fields.ts';

/** What a billing profile says. */
export const billingProfileFields = {
  name: line(80),
  dueDays: wholeNumber(0, 365),
  graceDays: wholeNumber(0, 365),
  overdueEffect: oneOf(['block', 'throttle', 'walled_garden']),
  throttleRate: rateLimit().optional(),
};

/** The effect throttle has a rate, the others have none. */
export function rateBelongsToThrottle(
  context: z.core.ParsePayload<{ overdueEffect: string; throttleRate?: string | undefined }>,
): void {
  const { overdueEffect, throttleRate } = context.value;
  if ((overdueEffect === 'throttle') === (throttleRate !== undefined)) return;
  context.issues.push({
    code: 'custom',
    path: ['throttleRate'],
    input: undefined,
    message:
      overdueEffect === 'throttle'
        ? 'is missing: the effect throttle needs a rate such as 512k/512k'
        : 'belongs to the effect throttle only',
  });
}
