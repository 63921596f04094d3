import { loginByUsername, type LoginRow, subscriberById } from '../../db/subscribers.ts';
import { rejectWords } from '../../domain/reject-words.ts';
import { notFound } from '../../errors.ts';
import { reconcileLogin } from '../../network/reconcile-now.ts';
import { type LoginTrial, tryLogin } from '../../reconcile/try-login.ts';
import { textQuery } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { whyHref } from '../why-href.ts';
import { chainView, loadWhy } from '../why-view.ts';

export const whyRoutes: readonly Route[] = [
  { method: 'get', path: '/why', access: 'subscriber.view', handle: ask },
  {
    method: 'get',
    path: '/why/:username',
    access: 'subscriber.view',
    handle: (page) => show(page, nameOf(page)),
  },
  { method: 'post', path: '/why/:username/test', access: 'login.test', handle: doTest },
  { method: 'post', path: '/why/:username/reconcile', access: 'attention.act', handle: doReconcile },
];

/** Longer than any username, so that one that is too long is told so. */
const nameMax = 120;

async function ask(page: Page): Promise<void> {
  const username = textQuery(page, 'username').slice(0, nameMax);
  if (username === '') {
    page.render('admin/why/ask', { title: 'Why can’t this person connect?' });
    return;
  }
  const href = whyHref(username);
  if (href.startsWith('/why?')) await show(page, username);
  else page.redirect(href);
}

async function show(page: Page, username: string, trial: LoginTrial | null = null): Promise<void> {
  const why = await loadWhy(page, username);
  const subscriber =
    why.login === null ? undefined : await subscriberById(page.app.db, why.login.subscriberId);
  page.render('admin/why/show', {
    title: why.username,
    crumbs: [{ label: 'Why can’t this person connect?', href: '/why' }],
    username: why.username,
    href: whyHref(why.username),
    testHref: `/why/${encodeURIComponent(why.username)}/test`,
    subscriber: subscriber === undefined ? null : { id: subscriber.id, name: subscriber.name },
    isLive: why.login !== null && why.login.retiredAt === null,
    chain: chainView(page, why),
    rows: why.rows,
    wrongRows: why.rows.filter((row) => !row.isRight).length,
    trial: trial === null ? null : trialView(trial),
  });
}

async function doTest(page: Page): Promise<void> {
  const login = await loginOf(page);
  const { lastMac } = await loadWhy(page, login.username);
  const { actor, correlationId } = page.ctx;
  const trial = await tryLogin(page.app, login, { actor, correlationId, lastMac });
  await show(page, login.username, trial);
}

async function doReconcile(page: Page): Promise<void> {
  const login = await loginOf(page);
  await reconcileLogin(page.ctx, login);
  page.redirect(whyHref(login.username), {
    kind: 'success',
    text: 'The worker and the router’s lane have been asked. Look again in a moment.',
  });
}

function nameOf(page: Page): string {
  return String(page.req.params['username']).slice(0, nameMax);
}

async function loginOf(page: Page): Promise<LoginRow> {
  const username = nameOf(page);
  const login = await loginByUsername(page.app.db, username);
  if (login === undefined) throw notFound(`login ${username}`);
  return login;
}

/** What FreeRADIUS said to the test, in words. */
function trialView(trial: LoginTrial) {
  const nothing = { ms: null, attributes: [], mac: null, isAccepted: false };
  if (!trial.ok) {
    const texts = {
      not_configured:
        'Nothing was sent: set SLUICE_RADIUS_STATUS_SECRET to the secret of FreeRADIUS’s client “status”.',
      no_facts: 'Nothing was sent: the login could not be read.',
      secret_unreadable:
        'Nothing was sent: its password does not open with the keys that are configured. Set it again.',
    };
    return { ...nothing, text: texts[trial.reason] };
  }
  const { outcome, mac } = trial;
  switch (outcome.kind) {
    case 'accept':
      return {
        ms: outcome.ms.toFixed(1),
        attributes: attributesOf(outcome),
        mac,
        isAccepted: true,
        text: 'Accepted.',
      };
    case 'reject':
      return {
        ms: outcome.ms.toFixed(1),
        attributes: attributesOf(outcome),
        mac,
        isAccepted: false,
        text: `Refused: ${refusalText(outcome.replyMessage)}`,
      };
    case 'other':
      return {
        ...nothing,
        ms: outcome.ms.toFixed(1),
        mac,
        text: 'FreeRADIUS answered with neither yes nor no.',
      };
    case 'silent':
      return { ...nothing, mac, text: 'FreeRADIUS did not answer. It is silent while its database is away.' };
    case 'closed':
      return { ...nothing, mac, text: 'Nobody listens where FreeRADIUS should: is it running?' };
    case 'forged':
      return {
        ...nothing,
        mac,
        text: 'Something answered, but not with our secret: SLUICE_RADIUS_STATUS_SECRET is another one.',
      };
  }
}

function refusalText(reason: string | null): string {
  if (reason === null) return 'no reason was given.';
  if (reason === 'login_incorrect') return `${rejectWords('wrong_password').why}, or no such login is known.`;
  const { why, fix } = rejectWords(reason);
  return `${why}. ${fix}`;
}

function attributesOf(outcome: { attributes: readonly (readonly [string, string])[] }) {
  return outcome.attributes.map(([name, value]) => ({ name, value }));
}
