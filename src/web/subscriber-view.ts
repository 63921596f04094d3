import { openSessionViews, queuedKey, type SessionView } from '../db/access-view.ts';
import { decisionsOf, type StoredDecision } from '../db/access-decisions.ts';
import { type FactsOf, loginFacts } from '../db/account-facts.ts';
import { accessSince } from '../db/subscriber-page.ts';
import { loginViewsOf, type LoginView } from '../db/subscriber-view.ts';
import { type SubscriptionRow, subscriptionsOf } from '../db/subscribers.ts';
import { type OpenSuspension, openSuspensionsOf } from '../db/suspensions.ts';
import { decideAccess } from '../domain/access.ts';
import { accessSentence, type DebtStory, nextByItself } from '../domain/access-sentence.ts';
import type { AccessKind } from '../domain/access-types.ts';
import { asId, type LoginId, type SubscriberId } from '../domain/ids.ts';
import { formatRateLimit } from '../domain/rate-limit.ts';
import { evidenceOf, type SpeedEvidence, speedOf } from '../domain/session-evidence.ts';
import { accessStory, debtStories, type DecidedStory } from '../network/access-story.ts';
import type { Page } from './page.ts';
import { whyHref } from './why-href.ts';

/** Logins of one subscriber that the page tells everything about; beyond that they are only named. */
const toldLogins = 20;

/** What the page and its live part know about a subscriber's access: every login with its sentence and its sessions. */
export interface SubscriberAccess {
  readonly subscriptions: readonly SubscriptionRow[];
  readonly suspensions: readonly OpenSuspension[];
  readonly debt: DebtStory;
  readonly allLogins: readonly LoginView[];
  readonly logins: readonly LoginCard[];
  /** How many live logins are only named. */
  readonly moreLogins: readonly { username: string; href: string }[];
}

export interface LoginCard {
  readonly id: string;
  readonly username: string;
  readonly subscriptionId: string;
  readonly packageName: string;
  /** What it has by the facts of now; null where that cannot be decided. */
  readonly access: AccessKind | 'unknown';
  /** RADIUS has something else still. */
  readonly isPending: boolean;
  readonly pendingText: string | null;
  readonly sentence: { what: string; why: string; ends: string };
  readonly next: { at: Date | null; day: string; text: string } | null;
  readonly macLock: string | null;
  readonly staticIpv4: string | null;
  readonly whyHref: string;
  readonly isOneOfSeveral: boolean;
  readonly sessions: readonly SessionCard[];
}

export interface SessionCard {
  readonly id: string;
  readonly address: string;
  readonly mac: string;
  readonly routerId: string | null;
  readonly routerName: string;
  readonly isRouterSilent: boolean;
  readonly startedAt: Date | null;
  readonly heardAt: Date | null;
  readonly speed: SpeedEvidence;
  readonly has: string;
  readonly wanted: string;
  readonly sent: string;
  readonly acknowledged: string;
  readonly confirmed: string;
  readonly isSettled: boolean;
}

/** With `only`, that login alone is told about. */
export async function loadAccess(page: Page, id: SubscriberId, only?: string): Promise<SubscriberAccess> {
  const { db } = page.app;
  const [allLogins, subscriptions, suspensions] = await Promise.all([
    loginViewsOf(db, id),
    subscriptionsOf(db, { subscriberId: id }),
    openSuspensionsOf(db, [id]),
  ]);
  const debtOf = await debtStories(
    db,
    page,
    id,
    subscriptions.map((subscription) => subscription.id),
  );
  const living = allLogins.filter((login) => !login.isRetired);
  const told =
    only !== undefined
      ? allLogins.filter((login) => login.username === only)
      : living.length > 0
        ? living.slice(0, toldLogins)
        : allLogins.slice(-1);
  const ids = told.map((login) => asId<LoginId>(login.id));
  const [facts, stored, since] = await Promise.all([
    loginFacts(db, ids),
    decisionsOf(db, ids),
    accessSince(db, ids),
  ]);
  const logins: LoginCard[] = [];
  for (const login of told) {
    const loginId = asId<LoginId>(login.id);
    logins.push(
      await cardOf(page, login, {
        facts: facts.get(loginId),
        stored: stored.get(loginId),
        since: since.get(loginId) ?? null,
        suspensions: suspensions.filter((one) => one.subscriptionId === login.subscriptionId),
        debt: debtOf(login.subscriptionId),
        packageName: subscriptions.find((one) => one.id === login.subscriptionId)?.packageName ?? '',
        isOneOfSeveral: living.length > 1,
      }),
    );
  }
  return {
    subscriptions,
    suspensions,
    debt: debtOf(null),
    allLogins,
    logins,
    moreLogins: living.slice(toldLogins).map(({ username }) => ({ username, href: whyHref(username) })),
  };
}

interface CardParts {
  facts: FactsOf | undefined;
  stored: StoredDecision | undefined;
  since: Date | null;
  suspensions: readonly OpenSuspension[];
  debt: DebtStory;
  packageName: string;
  isOneOfSeveral: boolean;
}

async function cardOf(page: Page, login: LoginView, parts: CardParts): Promise<LoginCard> {
  const { db } = page.app;
  const loginId = asId<LoginId>(login.id);
  const [views, queued] = await Promise.all([
    openSessionViews(db, login.username),
    queuedKey(db, 'login', loginId),
  ]);
  const decided = decisionNow(page, parts);
  const head = {
    id: login.id,
    username: login.username,
    subscriptionId: login.subscriptionId,
    packageName: parts.packageName,
    macLock: login.macLock,
    staticIpv4: login.staticIpv4,
    whyHref: whyHref(login.username),
    isOneOfSeveral: parts.isOneOfSeveral,
    sessions: views.map((view) => sessionCard(view, parts.stored, loginId)),
  };
  if (!decided.ok) {
    const sentence = {
      what: 'Not decided',
      why: decided.error,
      ends: 'Mend what it names, then have the login looked at again.',
    };
    return { ...head, access: 'unknown', isPending: false, pendingText: null, sentence, next: null };
  }
  const story = accessStory(page, decided, parts);
  const isPending = parts.stored === undefined || queued !== undefined || decided.isNews;
  const next = nextByItself(story);
  return {
    ...head,
    access: decided.access,
    isPending,
    pendingText: isPending ? pendingText(parts.stored, decided, queued?.isParked === true) : null,
    sentence: accessSentence(story),
    next:
      next === null
        ? null
        : {
            at: next.on === story.reviewOn ? decided.reviewAt : null,
            day: next.on,
            text: next.text,
          },
  };
}

type DecidedNow = ({ ok: true } & DecidedStory) | { ok: false; error: string };

/** What the facts and the clock say at this moment: the decision that the worker makes or is about to make. */
function decisionNow(page: Page, { facts, stored }: CardParts): DecidedNow {
  if (facts === undefined) return { ok: false, error: 'the login is gone' };
  if (!facts.ok) return { ok: false, error: facts.error };
  const { access, reason, reviewAt } = decideAccess(facts.facts, page.now);
  const rate = access.kind === 'throttled' ? formatRateLimit(access.rate) : null;
  const isNews = stored?.access !== access.kind || stored.reason !== reason || stored.rateLimit !== rate;
  return { ok: true, access: access.kind, reason, rate, reviewAt, isNews };
}

const accessWords: Record<AccessKind, string> = {
  full: 'full',
  throttled: 'throttled',
  walled_garden: 'the walled garden',
  denied: 'denied',
};

function pendingText(stored: StoredDecision | undefined, decided: DecidedNow, isParked: boolean): string {
  if (isParked) return 'Writing it for RADIUS was given up: see Needs attention.';
  if (stored === undefined) return 'RADIUS does not know it yet; the worker has been asked.';
  if (decided.ok && !decided.isNews) return 'The worker has been asked to look at it again.';
  return `RADIUS still has: ${accessWords[stored.access]}. The worker writes the new rows in a moment.`;
}

function sessionCard(view: SessionView, stored: StoredDecision | undefined, loginId: LoginId): SessionCard {
  const decision = stored === undefined ? undefined : { ...stored, generation: String(stored.generation) };
  const evidence = evidenceOf(view, decision, loginId);
  const rate = stored?.coaAttributes.find(([name]) => name === 'Mikrotik-Rate-Limit')?.[1] ?? null;
  return {
    id: view.radacctid,
    address: view.framedIp === '' ? 'none reported' : view.framedIp,
    mac: view.mac === '' ? 'none reported' : view.mac,
    routerId: view.routerId,
    routerName: view.routerName ?? view.routerAddress,
    isRouterSilent: view.breaker === 'open',
    startedAt: view.startedAt,
    heardAt: view.heardAt,
    speed: speedOf(view, decision === undefined ? undefined : { ...decision, rate }, loginId),
    ...evidence,
    sent: evidence.sent.replaceAll('_', ' '),
  };
}
