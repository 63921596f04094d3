import type { DiagnosisFacts, DiagnosedReject } from './diagnosis-facts.ts';
import { type Act, isOfDecision, rejectWords, terminateWords } from './reject-words.ts';

export type LinkName =
  | 'exists'
  | 'subscription'
  | 'access'
  | 'rows'
  | 'router_known'
  | 'router_reachable'
  | 'attempt'
  | 'session'
  | 'address'
  | 'rate';

/** One link of the chain: proved, broken, or not known. What was found is said in any case. */
export interface Link {
  readonly name: LinkName;
  readonly state: 'ok' | 'broken' | 'unknown';
  readonly found: string;
  /** What mends it; null where nothing has to be. */
  readonly fix: string | null;
  /** What of that a page can do. */
  readonly acts: readonly Act[];
}

export interface Diagnosis {
  readonly links: readonly Link[];
  /** The first broken link, which ends the chain; null where the person is connected as decided, or nothing tells. */
  readonly broken: Link | null;
}

/** A router of which nothing was heard for so long may be down, or nobody is on it. */
const quietMs = 15 * 60_000;

/**
 * Why somebody cannot connect: walks from the login's name to the speed of its session and stops at the first link that
 * is broken. A link that cannot be seen from here is said to be unknown, and the chain goes on.
 */
export function diagnose(facts: DiagnosisFacts): Diagnosis {
  const links: Link[] = [];
  for (const look of chain) {
    const link = look(facts);
    links.push(link);
    if (link.state === 'broken') return { links, broken: link };
  }
  return { links, broken: null };
}

const chain: readonly ((facts: DiagnosisFacts) => Link)[] = [
  exists,
  subscription,
  access,
  rows,
  routerKnown,
  routerReachable,
  attempt,
  session,
  address,
  rate,
];

function ok(name: LinkName, found: string): Link {
  return { name, state: 'ok', found, fix: null, acts: [] };
}

function broken(name: LinkName, found: string, fix: string, acts: readonly Act[] = []): Link {
  return { name, state: 'broken', found, fix, acts };
}

function unknown(name: LinkName, found: string, fix: string | null = null, acts: readonly Act[] = []): Link {
  return { name, state: 'unknown', found, fix, acts };
}

function exists({ login, isNamePossible, reject }: DiagnosisFacts): Link {
  const name = 'exists';
  if (login !== null) {
    if (!login.isRetired) return ok(name, 'There is a login of that name.');
    return broken(name, 'The login is retired.', 'Its name is never given again: make a new login.');
  }
  if (!isNamePossible) {
    const { why, fix } = rejectWords('bad_username');
    return broken(name, `There is no login of that name, and ${why}.`, fix);
  }
  const dialled = reject === null ? '' : ` Somebody dials with it: ${placeOf(reject)}.`;
  return broken(
    name,
    `There is no login of that name.${dialled}`,
    'Compare the username on the device, letter by letter; or add the subscriber.',
    ['add_subscriber'],
  );
}

function subscription({ subscriptionState }: DiagnosisFacts): Link {
  const name = 'subscription';
  switch (subscriptionState) {
    case 'active':
      return ok(name, 'Its subscription is active.');
    case 'paused':
      return broken(name, 'Its subscription is paused.', rejectWords('subscription_paused').fix);
    case 'terminated':
      return broken(name, 'Its subscription has ended.', rejectWords('subscription_terminated').fix);
    case null:
      return unknown(name, 'Not known, because the login has no subscription that could be read.');
  }
}

function access({ decision }: DiagnosisFacts): Link {
  const name = 'access';
  if (decision === null) return unknown(name, 'Not known, because its facts could not be read.');
  if (!decision.ok) {
    return broken(
      name,
      `It cannot be decided: ${decision.error}.`,
      'Mend what the error names, then look at the login again.',
      ['reconcile'],
    );
  }
  if (decision.access !== 'denied') return ok(name, decision.sentence);
  const { fix, acts } = rejectWords(decision.reason);
  return broken(name, decision.sentence, fix, acts);
}

function rows({ rows: seen, queued, hasWorker }: DiagnosisFacts): Link {
  const name = 'rows';
  if (seen === null) return unknown(name, 'Not known, because what they should be could not be computed.');
  if (seen.wrong.length === 0) return ok(name, `All ${seen.total} RADIUS rows are as they should be.`);
  const found = `${seen.wrong.length} of ${seen.total} RADIUS rows are not as they should be: ${seen.wrong.join(', ')}.`;
  if (queued?.isParked === true) {
    return broken(
      name,
      `${found} Writing them was given up: ${queued.lastError ?? 'no error was noted'}.`,
      'Mend the cause, then write them again.',
      ['reconcile', 'attention'],
    );
  }
  if (!hasWorker) {
    return broken(name, `${found} No worker is running that would write them.`, 'Start the worker role.');
  }
  if (queued !== null) {
    return broken(name, `${found} The worker has been asked to write them.`, 'Look again in a moment.');
  }
  return broken(name, found, 'Have them written now.', ['reconcile']);
}

function routerKnown({ router }: DiagnosisFacts): Link {
  const name = 'router_known';
  if (router === null) {
    return unknown(
      name,
      'Not known, because the login was never seen on a router of ours: FreeRADIUS does not hear others.',
      'Is the router under Routers, with the address that its packets come from?',
    );
  }
  if (router.isRemoved) {
    return broken(
      name,
      `${router.name}, on which it was last seen, is removed: FreeRADIUS ignores it.`,
      'Add the router again, or move the line to another one.',
      ['open_router'],
    );
  }
  switch (router.level) {
    case null:
      return unknown(name, `Not known, because no radius-agent has looked at ${router.name} yet.`, null, [
        'open_router',
      ]);
    case 'error':
      return broken(
        name,
        `FreeRADIUS did not take ${router.name}: ${router.error ?? 'no error was noted'}.`,
        'Mend the router’s entry.',
        ['open_router'],
      );
    case 'waiting':
    case 'removed':
      return broken(
        name,
        `${router.name} has not been given to FreeRADIUS yet.`,
        'Is the radius-agent running on that host? It needs a second, as a rule.',
        ['open_router'],
      );
    case 'in_place':
      return ok(
        name,
        `${router.name}: its file is in place; FreeRADIUS reads it at the router’s next packet.`,
      );
    case 'loaded':
      return ok(name, `${router.name}: loaded by FreeRADIUS.`);
    case 'heard':
      return ok(name, `${router.name}: loaded by FreeRADIUS, and heard with the right secret.`);
  }
}

function routerReachable({ router, lastSession, reject, now }: DiagnosisFacts): Link {
  const name = 'router_reachable';
  if (router === null) return unknown(name, 'Not known, because no router is known for it.');
  const isRecent = (at: Date | null) => at !== null && now.getTime() - at.getTime() < quietMs;
  // A report of its session, or a dial, came from the router too.
  const dialledAt = reject?.routerName === router.name ? reject.at : null;
  const reportedAt = lastSession?.routerName === router.name ? lastSession.heardAt : null;
  if (isRecent(router.lastAccountingAt) || isRecent(reportedAt) || isRecent(dialledAt)) {
    const coa =
      router.breaker === 'open' ? ' It does not answer CoA, though: a new speed or a kick must wait.' : '';
    return ok(name, `${router.name} was heard a short while ago.${coa}`);
  }
  if (router.breaker === 'open') {
    return broken(
      name,
      `${router.name} does not answer, and nothing was heard from it.`,
      'Look at the router: power, uplink, its address, /radius incoming.',
      ['open_router'],
    );
  }
  if (isRecent(router.lastAnswerAt)) return ok(name, `${router.name} answered a short while ago.`);
  return unknown(
    name,
    `Not known, because nothing was heard from ${router.name} for a quarter of an hour. One on which nobody is online is silent too.`,
    null,
    ['open_router'],
  );
}

function attempt(facts: DiagnosisFacts): Link {
  const name = 'attempt';
  const { reject, lastSession, login, decision } = facts;
  const acceptedAt = lastSession?.startedAt ?? null;
  if (reject === null) {
    if (acceptedAt !== null) return ok(name, 'Its last dial was accepted.');
    return unknown(
      name,
      'Not known, because no dial of it was ever seen: neither a refusal nor a session.',
      'Does the device dial? Is the username typed exactly so? The test below asks FreeRADIUS itself.',
    );
  }
  const { why, fix, acts } = rejectWords(reject.reason);
  const told = `Refused because ${why}: ${placeOf(reject)}.`;
  if (acceptedAt !== null && acceptedAt >= reject.at) {
    return ok(name, 'Its last dial was accepted, after an earlier refusal.');
  }
  if (lastSession?.isOpen === true && reject.reason !== 'already_online') {
    return ok(name, `It is online; a dial beside that was refused because ${why}.`);
  }
  const since = changedSince(reject, { login, decision });
  if (since !== null) {
    return unknown(name, `${told} Since then ${since}: it should be accepted at its next dial.`);
  }
  return broken(name, told, fix, acts);
}

/** What has changed since a refusal so that it is no longer the reason; null when it still may be. */
function changedSince(
  reject: DiagnosedReject,
  { login, decision }: Pick<DiagnosisFacts, 'login' | 'decision'>,
): string | null {
  const changedAt = decision?.ok === true ? decision.changedAt : null;
  // FreeRADIUS notes whole seconds: what was changed within that second may have come first.
  const isLater = (at: Date | null) => at !== null && at.getTime() >= reject.at.getTime() + 1000;
  if (isOfDecision(reject.reason)) {
    // The rows are right by now, or the chain would have ended before.
    return isLater(changedAt) ? 'its access has changed' : 'its rows were written';
  }
  if (isLater(login?.editedAt ?? null)) return 'the login was changed';
  if (reject.reason === 'wrong_mac' && (login?.macLock === null || login?.macLock === reject.mac)) {
    return 'its MAC lock was changed';
  }
  return null;
}

function session({ lastSession, now }: DiagnosisFacts): Link {
  const name = 'session';
  if (lastSession === null) {
    return broken(
      name,
      'It has never been online.',
      'Nothing here refuses it. Does the device dial, and does its router ask this RADIUS server?',
    );
  }
  if (!lastSession.isOpen) {
    return broken(
      name,
      `It is not online. Its last session ended because ${terminateWords(lastSession.terminateCause)}.`,
      'Nothing here refuses it: its device has to dial. Look at its power, cable and radio link.',
    );
  }
  const heardAt = lastSession.heardAt?.getTime() ?? 0;
  if (now.getTime() - heardAt > (3 * lastSession.interimSeconds + 60) * 1000) {
    return broken(
      name,
      'A session is open, but nothing was heard of it for three reports: it is most likely gone.',
      'It is closed at its last report by itself. To be sure now, end it: the device may dial again at once.',
      ['kick'],
    );
  }
  const where = lastSession.routerName === null ? '' : ` on ${lastSession.routerName}`;
  return ok(
    name,
    `It is online${where}, from ${lastSession.mac === '' ? 'a device without MAC' : lastSession.mac}.`,
  );
}

function address({ lastSession, login }: DiagnosisFacts): Link {
  const name = 'address';
  const ip = lastSession?.framedIp ?? '';
  if (ip === '') {
    return unknown(
      name,
      'Not known, because its router has reported no IPv4 address yet.',
      'It comes with the first report; a router whose pool is used up gives none.',
    );
  }
  const fixed = login?.staticIpv4 ?? null;
  if (fixed !== null && fixed !== ip) {
    return broken(
      name,
      `It has ${ip} and should have its fixed address ${fixed}.`,
      'It gets it when it dials again: end the session.',
      ['kick'],
    );
  }
  return ok(name, fixed === null ? `It has ${ip}.` : `It has its fixed address ${ip}.`);
}

function rate({ lastSession }: DiagnosisFacts): Link {
  const name = 'rate';
  const evidence = lastSession?.evidence ?? null;
  if (evidence === null) return unknown(name, 'Not known, because no session is open.');
  if (evidence.isSettled) return ok(name, `The session has ${evidence.has}.`);
  const found = `The session has ${evidence.has}. Wanted: ${evidence.wanted}. Acknowledged: ${evidence.acknowledged}.`;
  if (lastSession?.isSessionParked === true) {
    return broken(name, found, 'Mend the cause, then ask the router again.', ['reconcile', 'attention']);
  }
  return broken(name, found, 'The lane is at it; to ask the router again now:', ['reconcile']);
}

function placeOf(reject: DiagnosedReject): string {
  const device = reject.mac === '' ? 'a device without MAC' : reject.mac;
  return `${device} at ${reject.routerName ?? 'no router of ours (a test, for example)'}`;
}
