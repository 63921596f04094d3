import { toDataURL } from 'qrcode';
import { findStaff } from '../../db/staff.ts';
import { deleteSessionsOfStaff, sessionsOfStaff, type StaffSession } from '../../db/staff-sessions.ts';
import { otpauthUri, toBase32 } from '../../domain/totp.ts';
import {
  beginTotp,
  changeOwnPassword,
  confirmTotp,
  pendingTotp,
  turnOffTotp,
} from '../../staff/manage-staff.ts';
import { type FieldErrors, tryForm, typed } from '../form.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';

export const accountRoutes: readonly Route[] = [
  { method: 'get', path: '/account', access: 'signed_in', handle: (page) => show(page, null) },
  { method: 'post', path: '/account/password', access: 'signed_in', handle: doPassword },
  { method: 'post', path: '/account/totp', access: 'signed_in', handle: doTotp },
  { method: 'post', path: '/account/totp/confirm', access: 'signed_in', handle: doConfirm },
  { method: 'post', path: '/account/totp/off', access: 'signed_in', handle: doTotpOff },
  { method: 'post', path: '/account/sessions/others', access: 'signed_in', handle: doSignOutOthers },
];

async function show(page: Page, errors: FieldErrors | null): Promise<void> {
  const self = selfOf(page);
  const [staff, pending, sessions] = await Promise.all([
    findStaff(page.app.db, { id: self.staffId }),
    pendingTotp(page.ctx, self.staffId),
    sessionsOfStaff(page.app.db, self.staffId, page.now),
  ]);
  const data = {
    title: 'Your account',
    isTotpOn: staff?.isTotpOn ?? false,
    totp: pending === null ? null : await totpView(self.username, pending),
    sessions: sessions.map((session) => ({ ...session, isThis: session.idHash === self.idHash })),
  };
  if (errors === null) page.render('auth/account', data);
  else page.render('auth/account', { ...data, errors }, 400);
}

async function doPassword(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const self = selfOf(page);
  const changed = await tryForm(() =>
    changeOwnPassword(page.ctx, {
      staffId: self.staffId,
      current: form['current'] ?? '',
      next: form['next'] ?? '',
      keepSessionHash: self.idHash,
    }),
  );
  if (!changed.ok) await show(page, changed.errors);
  else
    page.redirect('/account', {
      kind: 'success',
      text: 'The password is changed; other sessions are signed out.',
    });
}

async function doTotp(page: Page): Promise<void> {
  await beginTotp(page.ctx, selfOf(page).staffId);
  page.redirect('/account');
}

async function doConfirm(page: Page): Promise<void> {
  const confirmed = await tryForm(() =>
    confirmTotp(page.ctx, selfOf(page).staffId, typed(page.req.body)['code'] ?? ''),
  );
  if (!confirmed.ok) await show(page, confirmed.errors);
  else page.redirect('/account', { kind: 'success', text: 'One-time codes are on.' });
}

async function doTotpOff(page: Page): Promise<void> {
  await turnOffTotp(page.ctx, selfOf(page).staffId);
  page.redirect('/account', { kind: 'warning', text: 'One-time codes are off.' });
}

async function doSignOutOthers(page: Page): Promise<void> {
  const self = selfOf(page);
  const count = await deleteSessionsOfStaff(page.app.db, self.staffId, self.idHash);
  page.redirect('/account', { kind: 'success', text: `${count} other sessions are signed out.` });
}

function selfOf(page: Page): StaffSession {
  if (page.staff === null) throw new Error('a signed-in route without a person');
  return page.staff;
}

async function totpView(username: string, secret: Buffer): Promise<{ key: string; image: string }> {
  const uri = otpauthUri({ issuer: 'Sluice', account: username }, secret);
  return {
    key: toBase32(secret)
      .replace(/(.{4})/g, '$1 ')
      .trim(),
    image: await toDataURL(uri, { margin: 1 }),
  };
}
