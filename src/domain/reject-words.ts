/** What helps when FreeRADIUS refuses a dial: an act that a page can offer as a button or a link. */
export type Act =
  | 'take_payment'
  | 'promise'
  | 'lift'
  | 'reset_mac'
  | 'set_password'
  | 'edit_login'
  | 'kick'
  | 'reconcile'
  | 'open_router'
  | 'attention'
  | 'add_subscriber';

export interface RejectWords {
  /** Why it was refused, after "refused because". */
  readonly why: string;
  /** What to do about it. */
  readonly fix: string;
  readonly acts: readonly Act[];
}

/** Every reason that FreeRADIUS writes beside a refused dial: deny reasons first, then its own (freeradius/policy.d). */
const words: Readonly<Record<string, RejectWords>> = {
  invoice_overdue: {
    why: 'an invoice is overdue',
    fix: 'Take the payment, or note a promise: service comes back by itself.',
    acts: ['take_payment', 'promise'],
  },
  prepaid_expired: {
    why: 'what was paid for in advance is used up',
    fix: 'Renew it; the next dial is accepted then.',
    acts: ['take_payment'],
  },
  staff_hold: { why: 'staff hold it', fix: 'Lift the hold when it is settled.', acts: ['lift'] },
  fraud_hold: {
    why: 'it is held because of suspected fraud',
    fix: 'Lift the hold when it is cleared.',
    acts: ['lift'],
  },
  vacation: {
    why: 'it is paused for the subscriber’s absence',
    fix: 'Lift the pause when they are back.',
    acts: ['lift'],
  },
  subscription_paused: {
    why: 'the subscription is paused',
    fix: 'Resume the subscription.',
    acts: [],
  },
  subscription_terminated: {
    why: 'the subscription has ended',
    fix: 'It does not come back: sell a new subscription.',
    acts: [],
  },
  login_retired: {
    why: 'the login is retired',
    fix: 'Its name is never given again: make a new login.',
    acts: [],
  },
  denied: {
    why: 'its rows say that it is denied, without a reason',
    fix: 'The rows are not ours, or half written: write them again.',
    acts: ['reconcile'],
  },
  wrong_password: {
    why: 'the password is wrong',
    fix: 'Compare the password on the device with the subscriber, or set a new one on both sides.',
    acts: ['set_password'],
  },
  unreadable_password: {
    why: 'the password arrived as noise: the router and FreeRADIUS do not have the same secret',
    fix: 'Type the router’s RADIUS secret again on the router, or make a new one.',
    acts: ['open_router'],
  },
  unknown_user: {
    why: 'FreeRADIUS knows no login of that name',
    fix: 'Compare the username on the device, letter by letter.',
    acts: ['reconcile'],
  },
  bad_username: {
    why: 'no login can have such a name: it holds a space or a character that is not plain ASCII',
    fix: 'Type the username again on the device; look for a space at its end.',
    acts: [],
  },
  wrong_mac: {
    why: 'the login is locked to another device’s MAC address',
    fix: 'If the device was replaced, take the lock away; it can be set to the new one afterwards.',
    acts: ['reset_mac', 'edit_login'],
  },
  already_online: {
    why: 'it is online already on as many devices as it may be',
    fix: 'End the open session if it is a left-over, or allow more sessions at once.',
    acts: ['kick', 'edit_login'],
  },
  no_password: {
    why: 'FreeRADIUS found no password for it',
    fix: 'Write its rows again; if that does not help, set a new password.',
    acts: ['reconcile', 'set_password'],
  },
  unsupported_method: {
    why: 'the router asked by a method that Sluice does not answer',
    fix: 'Let the router use PAP, CHAP, MS-CHAP or MS-CHAPv2 (its PPP server’s “authentication”).',
    acts: ['open_router'],
  },
};

/** The words for a reason in radpostauth; one that is not known is repeated as it is. */
export function rejectWords(reason: string): RejectWords {
  const known = Object.hasOwn(words, reason) ? words[reason] : undefined;
  return known ?? { why: `FreeRADIUS noted “${reason}”`, fix: 'Look at FreeRADIUS’s log.', acts: [] };
}

/** Reasons that come from Sluice's own decision: they are over when the decision has changed since. */
const ofDecision = new Set([
  'invoice_overdue',
  'prepaid_expired',
  'staff_hold',
  'fraud_hold',
  'vacation',
  'subscription_paused',
  'subscription_terminated',
  'login_retired',
  'denied',
  'no_password',
  'unknown_user',
]);

export function isOfDecision(reason: string): boolean {
  return ofDecision.has(reason);
}

/** Acct-Terminate-Cause (RFC 2866 §5.10, and Sluice's own) in words. */
const causes: Readonly<Record<string, string>> = {
  'User-Request': 'the device hung up',
  'Lost-Carrier': 'the line was lost',
  'Lost-Service': 'the service was lost',
  'Idle-Timeout': 'nothing was sent for too long',
  'Session-Timeout': 'its time was over',
  'Admin-Reset': 'it was disconnected by RADIUS or by hand',
  'Admin-Reboot': 'the router was restarted by hand',
  'Port-Error': 'an error on the port',
  'NAS-Error': 'an error on the router',
  'NAS-Request': 'the router ended it',
  'NAS-Reboot': 'the router restarted',
  'Port-Unneeded': 'the port was not needed any more',
  'Port-Preempted': 'the port was needed otherwise',
  'Port-Suspended': 'the port was suspended',
  'Service-Unavailable': 'the service was not available',
  Callback: 'a callback',
  'User-Error': 'an error on the device',
  'Host-Request': 'the device ended it',
  'Sluice-Stale': 'its router stopped reporting it; closed at its last report',
};

export function terminateWords(cause: string): string {
  if (cause === '') return 'no cause was given';
  return (Object.hasOwn(causes, cause) ? causes[cause] : undefined) ?? cause;
}

/** Error-Cause (RFC 5176 §3.6) in words. */
const errorCauses: Readonly<Record<number, string>> = {
  201: 'residual session context removed',
  401: 'unsupported attribute',
  402: 'missing attribute',
  403: 'NAS identification mismatch',
  404: 'invalid request',
  405: 'unsupported service',
  406: 'unsupported extension',
  407: 'invalid attribute value',
  501: 'administratively prohibited',
  502: 'request not routable',
  503: 'no such session on the router',
  504: 'session cannot be removed',
  505: 'other proxy processing error',
  506: 'resources unavailable',
  507: 'request initiated',
  508: 'several sessions cannot be chosen at once',
};

export function errorCauseWords(cause: number): string {
  return errorCauses[cause] ?? 'a cause that RFC 5176 does not name';
}
