import { findLiveRouter, type RouterRow } from '../db/routers.ts';
import { AppError } from '../errors.ts';
import type { Call } from './verb.ts';

/** The router that the person named by its name or address. */
export async function requireRouter(call: Call, nameOrAddress: string, field = 'ROUTER'): Promise<RouterRow> {
  const router = await findLiveRouter(call.app().db, nameOrAddress);
  if (router !== undefined) return router;
  throw new AppError(
    'not_found',
    `${field}: no router has that name or address; "sluice router list" lists them`,
    { field },
  );
}
