import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Vault } from '../adapters/vault.ts';
import { readCookie } from './cookies.ts';

/** For forms before anybody is signed in: signing in is a change too. */
const guestCookie = 'sluice_guest';

/** The token of this browser: bound to its session, or to a guest cookie, which is set where there is neither. */
export function csrfToken(
  vault: Vault,
  req: Request,
  res: Response,
  options: { sessionId: string | undefined; isSecure: boolean },
): string {
  let bound = options.sessionId ?? readCookie(req, guestCookie);
  if (bound === undefined || bound === '') {
    bound = randomBytes(24).toString('base64url');
    res.cookie(guestCookie, bound, { httpOnly: true, sameSite: 'lax', secure: options.isSecure, path: '/' });
  }
  return createHmac('sha256', vault.derive('csrf')).update(bound).digest('base64url');
}

/** Whether the request carries the token, in a hidden field or, from htmx, in a header. */
export function carriesToken(req: Request, token: string): boolean {
  const body = req.body as Record<string, unknown> | undefined;
  const sent = req.get('X-CSRF-Token') ?? body?.['_csrf'];
  if (typeof sent !== 'string') return false;
  const [a, b] = [Buffer.from(sent), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}
