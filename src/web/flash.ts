import type { Request, Response } from 'express';
import type { Vault } from '../adapters/vault.ts';
import { readCookie } from './cookies.ts';

/** A message that is shown once, on the page after a change. */
export interface Flash {
  kind: 'success' | 'warning' | 'danger';
  text: string;
}

const cookie = 'sluice_flash';

/** Sealed, so that nobody can put words into our mouth by planting a cookie. */
export function setFlash(vault: Vault, res: Response, flash: Flash): void {
  const sealed = vault.seal('flash', JSON.stringify({ ...flash, text: flash.text.slice(0, 1500) }));
  res.cookie(cookie, sealed.toString('base64url'), {
    httpOnly: true,
    sameSite: 'lax',
    maxAge: 60_000,
    path: '/',
  });
}

export function readFlash(vault: Vault, req: Request, res: Response): Flash | null {
  const text = readCookie(req, cookie);
  if (text === undefined || text === '') return null;
  res.clearCookie(cookie, { path: '/' });
  try {
    return JSON.parse(vault.open('flash', Buffer.from(text, 'base64url'))) as Flash;
  } catch {
    return null;
  }
}
