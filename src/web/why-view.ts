import { decisionOf, lastReject, openSessionViews, queuedKey, type SessionView } from '../db/access-view.ts';
import { livingProcesses } from '../db/heartbeats.ts';
import { listRouters, type RouterSummary } from '../db/routers.ts';
import { type EndedSession, loginEditedAt, newestSessionOf } from '../db/subscriber-page.ts';
import { loginByUsername, type LoginRow, subscriptionsOf } from '../db/subscribers.ts';
import { type Diagnosis, diagnose, type Link, type LinkName } from '../domain/diagnosis.ts';
import type { DiagnosedDecision, DiagnosedSession, DiagnosisFacts } from '../domain/diagnosis-facts.ts';
import type { Permission } from '../domain/permissions.ts';
import type { Act } from '../domain/reject-words.ts';
import { evidenceOf } from '../domain/session-evidence.ts';
import { parseUsername } from '../domain/username.ts';
import { lookAtLogin, type RowComparison } from '../network/login-look.ts';
import type { Page } from './page.ts';
import { type LoginCard, loadAccess } from './subscriber-view.ts';
import { whyHref } from './why-href.ts';

/** Everything that the diagnosis of one username shows. */
export interface Why {
  readonly username: string;
  readonly login: LoginRow | null;
  readonly diagnosis: Diagnosis;
  readonly rows: readonly RowComparison[];
  readonly routerId: string | null;
  /** The device it was last seen with. */
  readonly lastMac: string | null;
}

const interimSecondsDefault = 300;

/** Reads the facts from the real parts, and lets the domain decide. */
export async function loadWhy(page: Page, username: string): Promise<Why> {
  const { db, vault } = page.app;
  const login = (await loginByUsername(db, username)) ?? null;
  const reject = await lastReject(db, login?.username ?? username);
  if (login === null) {
    const facts = factsOf(page, username, { reject });
    return {
      username,
      login,
      diagnosis: diagnose(facts),
      rows: [],
      routerId: null,
      lastMac: null,
    };
  }
  const [access, look, sessions, ended, stored, queued, editedAt, workers, [subscription]] =
    await Promise.all([
      loadAccess(page, login.subscriberId, login.username),
      lookAtLogin({ db, vault, now: page.now }, login),
      openSessionViews(db, login.username),
      newestSessionOf(db, login.username),
      decisionOf(db, login.id),
      queuedKey(db, 'login', login.id),
      loginEditedAt(db, login.id),
      livingProcesses(db, 'worker'),
      subscriptionsOf(db, { subscriptionId: login.subscriptionId }),
    ]);
  const [open] = sessions;
  const rows = look.ok ? look.rows : [];
  const interim = Number(rows.find((row) => row.attribute === 'Acct-Interim-Interval')?.actual ?? 0);
  const lastSession = sessionOf(open, ended, {
    interimSeconds: interim > 0 ? interim : interimSecondsDefault,
    evidence: open === undefined ? null : evidenceOf(open, stored, login.id),
  });
  const isRejectNewer = reject !== undefined && (ended?.startedAt == null || ended.startedAt < reject.at);
  const routerId =
    open?.routerId ?? (isRejectNewer ? reject.routerId : null) ?? ended?.routerId ?? reject?.routerId ?? null;
  const routers = routerId === null ? [] : await listRouters(db, { ids: [routerId], isRemovedToo: true });
  const facts = factsOf(page, login.username, {
    reject,
    login: {
      isRetired: login.retiredAt !== null,
      macLock: login.macLock,
      staticIpv4: login.staticIpv4,
      editedAt,
    },
    subscriptionState: subscription?.state ?? null,
    decision: decisionFrom(access.logins[0], look, stored?.decidedAt ?? null),
    rows: look.ok
      ? { total: rows.length, wrong: rows.filter((row) => !row.isRight).map((row) => row.attribute) }
      : null,
    queued: queued ?? null,
    hasWorker: workers.length > 0,
    router: routerOf(routers[0]),
    lastSession,
  });
  return {
    username: login.username,
    login,
    diagnosis: diagnose(facts),
    rows,
    routerId,
    lastMac: macOf(ended?.mac) ?? macOf(reject?.mac),
  };
}

function macOf(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}

function factsOf(
  page: Page,
  username: string,
  found: Omit<Partial<DiagnosisFacts>, 'reject'> & { reject: Awaited<ReturnType<typeof lastReject>> },
): DiagnosisFacts {
  const { reject, ...rest } = found;
  return {
    now: page.now,
    isNamePossible: isPossible(username),
    login: null,
    subscriptionState: null,
    decision: null,
    rows: null,
    queued: null,
    hasWorker: true,
    router: null,
    lastSession: null,
    ...rest,
    reject:
      reject === undefined
        ? null
        : {
            at: reject.at,
            reason: reject.reason,
            mac: reject.mac,
            routerName: reject.routerName ?? (reject.routerId === null ? null : reject.routerAddress),
          },
  };
}

function isPossible(username: string): boolean {
  try {
    parseUsername(username);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function decisionFrom(
  card: LoginCard | undefined,
  look: Awaited<ReturnType<typeof lookAtLogin>>,
  changedAt: Date | null,
): DiagnosedDecision | null {
  if (!look.ok) return { ok: false, error: look.error };
  if (card === undefined || card.access === 'unknown') return null;
  const { what, why, ends } = card.sentence;
  const sentence = `${what}: ${why}. ${ends}`;
  return { ok: true, access: card.access, reason: look.decision.reason, sentence, changedAt };
}

function routerOf(router: RouterSummary | undefined): DiagnosisFacts['router'] {
  if (router === undefined) return null;
  const order = ['error', 'waiting', 'in_place', 'loaded', 'heard', 'removed'] as const;
  const level = order.find((one) => router.evidence.some((evidence) => evidence.level === one)) ?? null;
  return {
    name: router.name,
    isRemoved: router.removedAt !== null,
    level,
    error: router.evidence.find((evidence) => evidence.error !== null)?.error ?? null,
    breaker: router.lane.breaker,
    lastAccountingAt: router.lane.lastAccountingAt,
    lastAnswerAt: router.lane.lastAnswerAt,
  };
}

function sessionOf(
  open: SessionView | undefined,
  ended: EndedSession | undefined,
  rest: Pick<DiagnosedSession, 'interimSeconds' | 'evidence'>,
): DiagnosedSession | null {
  if (open !== undefined) {
    return {
      isOpen: true,
      startedAt: open.startedAt,
      heardAt: open.heardAt,
      stoppedAt: null,
      terminateCause: '',
      mac: open.mac,
      framedIp: open.framedIp,
      routerName: open.routerName ?? open.routerAddress,
      isSessionParked: open.queued?.isParked === true,
      ...rest,
    };
  }
  if (ended === undefined) return null;
  return { ...ended, isOpen: false, isSessionParked: false, ...rest };
}

const linkNames: Readonly<Record<LinkName, string>> = {
  exists: 'Login',
  subscription: 'Subscription',
  access: 'Access',
  rows: 'RADIUS rows',
  router_known: 'Router known to FreeRADIUS',
  router_reachable: 'Router reachable',
  attempt: 'Last login attempt',
  session: 'Session',
  address: 'Address',
  rate: 'Speed',
};

const order = Object.keys(linkNames) as LinkName[];

/** A button or link that mends a link. */
export interface FixView {
  readonly label: string;
  readonly href: string;
  readonly isPost: boolean;
}

/** The chain as the page shows it, with the acts that this person may do, and what was not looked at. */
export function chainView(page: Page, why: Why) {
  const { links, broken } = why.diagnosis;
  const seen = new Set(links.map((link) => link.name));
  return {
    links: links.map((link) => ({
      title: linkNames[link.name],
      mark: marks[link.state],
      found: link.found,
      fix: link.fix,
      fixes: fixesOf(page, why, link),
    })),
    notLookedAt: order
      .filter((name) => !seen.has(name))
      .map((name) => linkNames[name])
      .join(', '),
    brokenAt: broken === null ? null : linkNames[broken.name],
  };
}

const marks = {
  ok: { word: 'Yes', colour: 'full', symbol: 'check-circle-fill' },
  broken: { word: 'No', colour: 'denied', symbol: 'x-octagon-fill' },
  unknown: { word: 'Not known', colour: 'unknown', symbol: 'question-circle' },
} as const;

function fixesOf(page: Page, why: Why, link: Link): FixView[] {
  return link.acts.flatMap((act) => {
    const fix = fixOf(why, act);
    return fix === null || !page.may(fix.needs)
      ? []
      : [{ label: fix.label, href: fix.href, isPost: fix.isPost }];
  });
}

function fixOf(why: Why, act: Act): (FixView & { needs: Permission }) | null {
  const link = (label: string, href: string, needs: Permission) => ({ label, href, needs, isPost: false });
  const button = (label: string, href: string, needs: Permission) => ({ label, href, needs, isPost: true });
  if (act === 'open_router') {
    return why.routerId === null
      ? link('Routers', '/routers', 'router.view')
      : link('Look at the router', `/routers/${why.routerId}`, 'router.view');
  }
  if (act === 'attention') return link('Needs attention', '/attention', 'attention.view');
  if (act === 'add_subscriber') return link('Add a subscriber', '/subscribers/new', 'subscriber.edit');
  if (why.login === null) return null;
  const subscriber = `/subscribers/${why.login.subscriberId}`;
  const login = `${subscriber}/logins/${why.login.id}`;
  switch (act) {
    case 'take_payment':
      return link('Take a payment', `${subscriber}/payment`, 'payment.take');
    case 'promise':
      return link('Note a promise', `${subscriber}/promise`, 'promise.make');
    case 'lift':
      return link('Lift', `${subscriber}/lift`, 'subscriber.hold');
    case 'set_password':
      return link('Set a password', `${login}/edit`, 'subscriber.edit');
    case 'edit_login':
      return link('Edit the login', `${login}/edit`, 'subscriber.edit');
    case 'reset_mac':
      return button('Reset the MAC lock', `${login}/mac-reset`, 'subscriber.edit');
    case 'kick':
      return button('End the open session', `${login}/kick`, 'session.kick');
    case 'reconcile':
      return button('Do it now', `${whyHref(why.login.username)}/reconcile`, 'attention.act');
  }
}
