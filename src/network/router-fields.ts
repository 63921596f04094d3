import { z } from 'zod';
import { parseRouterAddress } from '../domain/router-address.ts';
import { secretProblem } from '../domain/radius-client-file.ts';
import { checked, oneOf, technicalName, wholeNumber } from '../input.ts';

/** The fields of a router as staff give them, each with its rule; values are never repeated. */

export const name = () => technicalName(60);

export const address = () =>
  checked(
    "must be the one IPv4 or IPv6 address from which the router's RADIUS packets come",
    (text) => parseRouterAddress(text.trim()).text,
    { tellsMore: true },
  );

export const secret = () =>
  z.string({ error: 'must be a text' }).superRefine((value, context) => {
    const problem = secretProblem(value);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });

export const coaPort = () => wholeNumber(1, 65535);
export const rateChange = () => oneOf(['coa', 'disconnect']);
export const needsMessageAuthenticator = () => z.boolean({ error: 'must be yes or no' });
export const pacePerSecond = () => wholeNumber(1, 1000);

export const routerId = () =>
  z.string({ error: 'must be the id of a router' }).regex(/^[1-9]\d{0,19}$/, 'must be the id of a router');
