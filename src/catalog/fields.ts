import type { z } from 'zod';
import { formatRateLimit, parseRateLimit } from '../domain/rate-limit.ts';
import { checked } from '../input.ts';

/** Mikrotik-Rate-Limit text, upload first, kept in one spelling. */
export function rateLimit(): z.ZodType<string, string> {
  return checked(
    'must be a rate such as 10M/50M, upload first',
    (text) => formatRateLimit(parseRateLimit(text)),
    { tellsMore: true },
  );
}
