import { hasStaff } from '../../db/staff.ts';
import { AppError } from '../../errors.ts';
import { addFirstOwner } from '../../staff/manage-staff.ts';
import { isSetupCode } from '../../staff/setup-code.ts';
import { signIn, type SignInResult, signOut } from '../../staff/sign-in.ts';
import { readCookie } from '../cookies.ts';
import { tryForm, typed } from '../form.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { sessionCookie } from '../session-cookie.ts';

export const signInRoutes: readonly Route[] = [
  { method: 'get', path: '/sign-in', access: 'public', handle: showSignIn },
  { method: 'post', path: '/sign-in', access: 'public', handle: doSignIn },
  { method: 'post', path: '/sign-out', access: 'signed_in', handle: doSignOut },
  { method: 'get', path: '/first-run', access: 'public', handle: showFirstRun },
  { method: 'post', path: '/first-run', access: 'public', handle: doFirstRun },
];

async function showSignIn(page: Page): Promise<void> {
  if (!(await hasStaff(page.app.db))) {
    page.redirect('/first-run');
    return;
  }
  if (page.staff !== null) page.redirect('/');
  else showForm(page, { username: '', fault: null }, 200);
}

async function doSignIn(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const result = await signIn(page.ctx, {
    username: (form['username'] ?? '').slice(0, 64),
    password: (form['password'] ?? '').slice(0, 400),
    code: form['code'] ?? '',
    address: page.req.ip ?? '',
    agent: page.req.get('user-agent') ?? '',
    oldSessionId: readCookie(page.req, sessionCookie),
  });
  if (!result.ok) {
    showForm(page, { username: form['username'] ?? '', fault: faultOf(result, page) }, 401);
    return;
  }
  openSession(page, result.sessionId);
  page.redirect(ownPath(form['next'] ?? ''));
}

async function doSignOut(page: Page): Promise<void> {
  const sessionId = readCookie(page.req, sessionCookie);
  if (sessionId !== undefined) await signOut(page.ctx, sessionId);
  page.res.clearCookie(sessionCookie, { path: '/' });
  page.redirect('/sign-in', { kind: 'success', text: 'You are signed out.' });
}

async function showFirstRun(page: Page): Promise<void> {
  if (await hasStaff(page.app.db)) page.redirect('/sign-in');
  else page.render('auth/first-run', { title: 'Make the first account', values: { name: '', username: '' } });
}

async function doFirstRun(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const values = { name: form['name'] ?? '', username: form['username'] ?? '' };
  const password = form['password'] ?? '';
  const made = await tryForm(async () => {
    if (!isSetupCode(page.app.vault, form['setup'] ?? '')) {
      throw new AppError('invalid', 'setup: is not the code that scripts/sluice setup-code prints', {
        field: 'setup',
      });
    }
    await addFirstOwner(page.ctx, { ...values, password });
  });
  if (!made.ok) {
    page.render('auth/first-run', { title: 'Make the first account', values, errors: made.errors }, 400);
    return;
  }
  page.redirect('/sign-in', { kind: 'success', text: 'The owner account is made. Sign in with it.' });
}

function showForm(page: Page, data: { username: string; fault: string | null }, status: number): void {
  const form = typed(page.req.body);
  const asked = page.req.query['next'];
  const next = ownPath(form['next'] ?? (typeof asked === 'string' ? asked : ''));
  page.render('auth/sign-in', { title: 'Sign in', next, ...data }, status);
}

function openSession(page: Page, sessionId: string): void {
  page.res.cookie(sessionCookie, sessionId, {
    httpOnly: true,
    sameSite: 'lax',
    secure: page.app.config.web.isHttps,
    path: '/',
  });
}

function faultOf(result: Exclude<SignInResult, { ok: true }>, page: Page): string {
  switch (result.reason) {
    case 'wrong':
      return 'Username or password is wrong.';
    case 'code_needed':
      return 'This account uses one-time codes: enter the code that your authenticator program shows.';
    case 'code_wrong':
      return 'The one-time code is wrong, or was used already. Wait for the next one.';
    case 'locked': {
      const minutes = Math.max(1, Math.ceil((result.until.getTime() - page.now.getTime()) / 60_000));
      return `Too many failed attempts. Try again in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}.`;
    }
  }
}

/** A path of ours, and nothing that a link could smuggle in: no other host, no scheme. */
function ownPath(text: string): string {
  return /^\/(?![/\\])[^\s\\]*$/.test(text) && !text.startsWith('/sign-') ? text : '/';
}
