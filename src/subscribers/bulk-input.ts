import { z } from 'zod';
import type { BulkKind } from '../db/bulk-jobs.ts';
import { parseRateLimit } from '../domain/rate-limit.ts';
import { checked, line, oneOf, parseInput } from '../input.ts';

const rate = () =>
  checked('must be a rate such as 1M/2M, upload first', (text) => {
    parseRateLimit(text);
    return text.trim();
  });

const schemas = {
  hold: z
    .strictObject({
      cause: oneOf(['staff', 'fraud', 'vacation']),
      effect: oneOf(['block', 'throttle', 'walled_garden']),
      throttleRate: rate().optional(),
      note: line(255),
    })
    .refine((input) => (input.effect === 'throttle') === (input.throttleRate !== undefined), {
      path: ['throttleRate'],
      message: 'must be given with the effect throttle, and only then',
    }),
  lift: z.strictObject({ cause: oneOf(['overdue', 'staff', 'fraud', 'vacation']), note: line(255) }),
  kick: z.strictObject({ note: line(255).optional() }),
  reconcile: z.strictObject({}),
  change_package: z.strictObject({ package: line(80), from: line(80).optional() }),
} satisfies Record<BulkKind, z.ZodType>;

/** What an act needs besides whom it is about. */
export interface BulkInput {
  readonly cause?: 'overdue' | 'staff' | 'fraud' | 'vacation' | undefined;
  readonly effect?: 'block' | 'throttle' | 'walled_garden' | undefined;
  readonly throttleRate?: string | undefined;
  readonly note?: string | undefined;
  readonly package?: string | undefined;
  /** Only subscriptions that have this package now. */
  readonly from?: string | undefined;
}

/** Checks it before anything is begun, so that a slip of the hand is not ten thousand failures. */
export function parseBulkInput(kind: BulkKind, input: Record<string, unknown>): BulkInput {
  return parseInput(schemas[kind], input);
}
