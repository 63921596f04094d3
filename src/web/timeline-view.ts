import type { TimelineEntry, TimelineSource } from '../db/timeline.ts';
import type {
  ActivityDetail,
  ChangeDetail,
  MoneyDetail,
  PacketDetail,
  RejectDetail,
  SessionDetail,
} from '../db/timeline-details.ts';
import { errorCauseWords, rejectWords, terminateWords } from '../domain/reject-words.ts';

/** A line of the timeline as the page shows it, with the evidence behind it. */
export interface TimelineLine {
  readonly at: Date;
  readonly icon: string;
  readonly colour: 'full' | 'throttled' | 'walled' | 'denied' | 'pending' | 'unknown';
  /** The kind of thing, in a word. */
  readonly label: string;
  readonly text: string;
  readonly amountMinor: bigint | null;
  readonly facts: readonly Fact[];
  /** Rows or packets as they are; null where the facts say it all. */
  readonly raw: string | null;
}

export interface Fact {
  readonly label: string;
  readonly value: string;
  readonly href: string | null;
  readonly at: Date | null;
}

/** What the filter above the timeline offers. */
export const timelineFilters: Readonly<Record<string, { label: string; only: readonly TimelineSource[] }>> = {
  money: { label: 'Money', only: ['money'] },
  access: { label: 'Access', only: ['access', 'packet'] },
  network: { label: 'Sessions and refusals', only: ['start', 'stop', 'reject'] },
  staff: { label: 'Activity', only: ['activity'] },
};

/**
 * `format` writes an amount as people read it; `isSeveral` says that there are several logins, so that each line names
 * its own.
 */
export function timelineLine(
  entry: TimelineEntry,
  { format, isSeveral }: { format: (amount: bigint) => string; isSeveral: boolean },
): TimelineLine {
  const of = (username: string) => (isSeveral ? `${username}: ` : '');
  switch (entry.source) {
    case 'activity':
      return { at: entry.at, ...activityLine(entry.activity) };
    case 'money':
      return { at: entry.at, ...moneyLine(entry.money, format) };
    case 'access':
      return { at: entry.at, ...changeLine(entry.change, of) };
    case 'packet':
      return { at: entry.at, ...packetLine(entry.packet, of) };
    case 'start':
    case 'stop':
      return { at: entry.at, ...sessionLine(entry.session, entry.source, of) };
    case 'reject':
      return { at: entry.at, ...rejectLine(entry.reject, of) };
  }
}

type Line = Omit<TimelineLine, 'at'>;
/** The login's name before a line, where there are several. */
type Of = (username: string) => string;

const fact = (label: string, value: string | null, href: string | null = null): Fact => ({
  label,
  value: value === null || value === '' ? '—' : value,
  href,
  at: null,
});
const moment = (label: string, at: Date | null): Fact =>
  at === null ? fact(label, null) : { label, value: '', href: null, at };

const verbs: Readonly<Record<string, string>> = {
  'subscriber.add': 'Subscriber added',
  'subscriber.set': 'Subscriber changed',
  'subscriber.promise': 'Promise to pay noted',
  'subscription.add': 'Subscription added',
  'subscription.change_package': 'Package changed',
  'subscription.terminate': 'Subscription terminated',
  'login.add': 'Login added',
  'login.set': 'Login changed',
  'login.test': 'Test login',
  'suspension.open': 'Suspended',
  'suspension.close': 'Suspension ended',
  'session.kick': 'Session kicked',
  'invoice.void': 'Invoice voided',
  'invoice.credit': 'Invoice credited',
  'invoice.write_off': 'Invoice written off',
  'reconcile.login': 'Looked at again on request',
};

function activityLine(activity: ActivityDetail): Line {
  const diff = parsed(activity.diff);
  const said = ['note', 'cause', 'effect', 'throttleRate', 'because', 'payBy', 'outcome']
    .flatMap((name) => (typeof diff[name] === 'string' && diff[name] !== '' ? [diff[name]] : []))
    .map((word) => word.replaceAll('_', ' '));
  const outcome = activity.outcome === 'done' ? '' : ` (${activity.outcome})`;
  const name = verbs[activity.verb] ?? activity.verb.replaceAll(/[._]/g, ' ');
  return {
    icon: 'person-gear',
    colour: 'unknown',
    label: 'Activity',
    text: `${name} by ${activity.actor}${outcome}${said.length === 0 ? '' : `: ${said.join(', ')}`}`,
    amountMinor: null,
    facts: [
      fact('Who', activity.actor),
      fact('What', activity.verb),
      fact('On', `${activity.subjectKind.replaceAll('_', ' ')} ${activity.subjectId ?? ''}`),
      fact('Outcome', activity.outcome),
      fact('Request', activity.correlationId),
    ],
    raw: Object.keys(diff).length === 0 ? null : JSON.stringify(diff, null, 2),
  };
}

function parsed(json: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const entryKinds: Readonly<Record<string, string>> = {
  invoice: 'Invoice issued',
  invoice_void: 'Invoice voided',
  payment: 'Payment received',
  payment_reversal: 'Payment reversed',
  wallet_use: 'Paid from the wallet',
  wallet_use_reversal: 'Payment from the wallet undone',
  credit_note: 'Credit note',
  credit_note_reversal: 'Credit note undone',
  write_off: 'Written off',
  write_off_reversal: 'Write-off undone',
};

const accounts: Readonly<Record<string, string>> = {
  cash: 'Cash',
  bank: 'Bank',
  ar: 'Receivable',
  wallet: 'Wallet',
  tax_payable: 'Tax payable',
  revenue_internet: 'Internet revenue',
  bad_debt: 'Bad debt',
};

function moneyLine(money: MoneyDetail, format: (amount: bigint) => string): Line {
  const size = money.postings
    .filter((posting) => posting.amountMinor > 0n)
    .reduce((sum, posting) => sum + posting.amountMinor, 0n);
  const [what, id] = money.onceKey.split(':');
  const isDocument = /^\d+$/.test(id ?? '') && (what === 'invoice' || what === 'payment');
  return {
    icon: money.kind.startsWith('payment') ? 'cash-coin' : 'receipt',
    colour: money.kind === 'payment' ? 'full' : 'unknown',
    label: 'Money',
    text: `${entryKinds[money.kind] ?? money.kind.replaceAll('_', ' ')}${money.memo === '' ? '' : `: ${money.memo}`}`,
    amountMinor: size,
    facts: [
      isDocument
        ? fact(what === 'invoice' ? 'Invoice' : 'Payment', `number ${id ?? ''} here`, `/${what}s/${id ?? ''}`)
        : fact('Document', money.onceKey),
      fact('Effective on', money.effectiveOn),
      fact('Posted by', money.actor),
      ...money.postings.map(({ account, amountMinor }) =>
        fact(
          amountMinor > 0n ? 'Debit' : 'Credit',
          `${accounts[account] ?? account} ${format(amountMinor < 0n ? -amountMinor : amountMinor)}`,
        ),
      ),
    ],
    raw: null,
  };
}

const accessWords: Readonly<Record<string, string>> = {
  full: 'full',
  throttled: 'throttled',
  walled_garden: 'walled garden',
  denied: 'denied',
};
const accessColours: Readonly<Record<string, TimelineLine['colour']>> = {
  full: 'full',
  throttled: 'throttled',
  walled_garden: 'walled',
  denied: 'denied',
};

function changeLine(change: ChangeDetail, of: Of): Line {
  const to = accessWords[change.to] ?? change.to;
  const from = change.from === null ? null : (accessWords[change.from] ?? change.from);
  const reason = change.reason.replaceAll('_', ' ');
  const text =
    from === null
      ? `${of(change.username)}${to} at first (${reason})`
      : from === to
        ? `${of(change.username)}${to} as before, with other attributes (${reason})`
        : `${of(change.username)}${from} → ${to} (${reason})`;
  return {
    icon: 'shield-lock',
    colour: accessColours[change.to] ?? 'unknown',
    label: 'Access',
    text,
    amountMinor: null,
    facts: [
      fact('Login', change.username),
      fact('Reason', change.reason),
      fact('Generation', change.generation),
      fact('Request', change.requestedBy),
    ],
    raw: null,
  };
}

const outcomes: Readonly<Record<PacketDetail['outcome'], readonly [string, TimelineLine['colour']]>> = {
  pending: ['waiting for the answer', 'pending'],
  ack: ['acknowledged', 'full'],
  nak: ['refused', 'denied'],
  timeout: ['no answer', 'denied'],
  superseded: ['given up for a newer one', 'unknown'],
  abandoned: ['its sender ended before an answer', 'unknown'],
  unsent: ['not sent', 'unknown'],
};

function packetLine(packet: PacketDetail, of: Of): Line {
  const [outcome, colour] = outcomes[packet.outcome];
  const tookText = packet.roundTripUs === null ? '' : ` in ${(packet.roundTripUs / 1000).toFixed(1)} ms`;
  const cause =
    packet.errorCause === null
      ? ''
      : `, Error-Cause ${packet.errorCause} (${errorCauseWords(packet.errorCause)})`;
  const kind = packet.action === 'coa' ? 'CoA' : 'Disconnect';
  const confirmed = packet.confirmedAt === null ? '' : ', confirmed';
  return {
    icon: 'send',
    colour,
    label: kind,
    text: `${of(packet.username)}${kind} to ${packet.routerName ?? `router ${packet.routerId}`}: ${outcome}${tookText}${cause}${confirmed}`,
    amountMinor: null,
    facts: [
      fact('Login', packet.username),
      fact('Router', packet.routerName ?? packet.routerId, `/routers/${packet.routerId}`),
      fact('Session', packet.sessionId),
      fact('Because', `${packet.because} ${packet.why}`.trim().replaceAll('_', ' ')),
      fact('Generation', packet.generation),
      fact('Packets sent', String(packet.attempts)),
      fact(
        'Round-trip time',
        packet.roundTripUs === null ? null : `${(packet.roundTripUs / 1000).toFixed(1)} ms`,
      ),
      fact('Answer', `${outcome}${cause}${packet.detail === null ? '' : `; ${packet.detail}`}`),
      moment('Answered', packet.answeredAt),
      packet.confirmedAt === null
        ? fact('Confirmed', 'no: nothing was observed that proves it')
        : moment(
            `Confirmed by ${packet.confirmedBy === 'stop' ? 'its Stop' : 'its rate'}`,
            packet.confirmedAt,
          ),
      fact('Request', packet.requestedBy),
    ],
    raw: pairs(packet.attributes),
  };
}

/** JSON pairs as a packet's attributes are written, one a line. */
function pairs(json: string): string | null {
  try {
    const value = JSON.parse(json) as [string, string][];
    return value.length === 0 ? null : value.map(([name, text]) => `${name} = ${text}`).join('\n');
  } catch {
    return null;
  }
}

function sessionLine(session: SessionDetail, source: 'start' | 'stop', of: Of): Line {
  const router = session.routerName ?? session.routerAddress;
  const address = session.framedIp === '' ? '' : `, ${session.framedIp}`;
  return {
    icon: source === 'start' ? 'box-arrow-in-right' : 'box-arrow-right',
    colour: source === 'start' ? 'full' : 'unknown',
    label: 'Session',
    text:
      source === 'start'
        ? `${of(session.username)}online on ${router}${address}`
        : `${of(session.username)}offline: ${terminateWords(session.terminateCause)}`,
    amountMinor: null,
    facts: [
      fact('Router', router, session.routerId === null ? null : `/routers/${session.routerId}`),
      fact('Address', session.framedIp),
      fact('IPv6', session.framedIpv6),
      fact('MAC', session.mac),
      moment('Began', session.startedAt),
      moment('Ended', session.stoppedAt),
      fact('Upload', session.uploadBytes.toLocaleString('en') + ' bytes'),
      fact('Download', session.downloadBytes.toLocaleString('en') + ' bytes'),
      fact('Ended because', session.stoppedAt === null ? null : terminateWords(session.terminateCause)),
    ],
    raw: [
      `radacctid = ${session.radacctid}`,
      `Acct-Session-Id = ${session.sessionId}`,
      `Class = ${session.class ?? 'none'}`,
      `Acct-Session-Time = ${session.seconds ?? 'none yet'}`,
      `Acct-Terminate-Cause = ${session.terminateCause === '' ? 'none' : session.terminateCause}`,
      `Stop received = ${session.isStopSeen ? 'yes' : 'no'}`,
    ].join('\n'),
  };
}

function rejectLine(reject: RejectDetail, of: Of): Line {
  const { why, fix } = rejectWords(reject.reason);
  return {
    icon: 'x-octagon',
    colour: 'denied',
    label: 'Refused',
    text: `${of(reject.username)}refused: ${why}`,
    amountMinor: null,
    facts: [
      fact('Reason', reject.reason),
      fact('What helps', fix),
      fact('Device', reject.mac),
      fact(
        'Router',
        reject.routerName ?? `none of ours: ${reject.routerAddress}`,
        reject.routerId === null ? null : `/routers/${reject.routerId}`,
      ),
    ],
    raw: null,
  };
}
