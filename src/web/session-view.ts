import type { PacketView, SessionRow } from '../db/session-rows.ts';
import { errorCauseWords, terminateWords } from '../domain/reject-words.ts';
import { evidenceOf } from '../domain/session-evidence.ts';
import { milliseconds } from './dashboard-view.ts';

/** What a list says of a session's access in a word, and how sure that is. */
export interface EnforcedWord {
  readonly word: string;
  readonly colour: 'full' | 'throttled' | 'denied' | 'pending' | 'unknown';
  readonly symbol: string;
}

/** A session as templates show it: its row, what the network is known to have done, and words for both. */
export function sessionView(row: SessionRow) {
  const evidence = row.loginId === null ? null : evidenceOf(row, row.decision ?? undefined, row.loginId);
  return {
    ...row,
    upBytes: row.upBytes.toString(),
    downBytes: row.downBytes.toString(),
    access: row.decision?.access ?? 'unknown',
    reason: row.decision?.reason.replaceAll('_', ' ') ?? null,
    rate: row.decision?.rate ?? null,
    /** Without its burst. */
    rateShort: row.decision?.rate?.split(' ')[0] ?? null,
    ipv6: row.delegatedPrefix === '' ? row.ipv6Prefix : row.delegatedPrefix,
    evidence,
    enforced: enforcedWord(row, evidence?.isSettled ?? false),
    causeText: terminateWords(row.cause),
    isOpen: row.stoppedAt === null,
    seconds:
      row.startedAt === null
        ? null
        : Math.max(
            0,
            ((row.stoppedAt ?? row.heardAt ?? row.startedAt).getTime() - row.startedAt.getTime()) / 1000,
          ),
  };
}

export type SessionView = ReturnType<typeof sessionView>;

function enforcedWord(row: SessionRow, isSettled: boolean): EnforcedWord {
  if (row.stoppedAt !== null) return { word: 'Ended', colour: 'unknown', symbol: 'stop-circle' };
  if (row.loginId === null) return { word: 'No login', colour: 'unknown', symbol: 'question-circle' };
  if (row.claimedGoneAt !== null && (row.heardAt === null || row.heardAt <= row.claimedGoneAt))
    return { word: 'Router says it is gone', colour: 'unknown', symbol: 'question-circle' };
  if (row.queued?.isParked === true)
    return { word: 'Given up', colour: 'denied', symbol: 'exclamation-diamond' };
  if (row.isKickWanted) return { word: 'Being ended', colour: 'pending', symbol: 'hourglass-split' };
  if (!isSettled) return { word: 'Pending', colour: 'pending', symbol: 'hourglass-split' };
  return row.acknowledged === null
    ? { word: 'Given at login', colour: 'full', symbol: 'check-circle' }
    : { word: 'Acknowledged', colour: 'full', symbol: 'check-circle-fill' };
}

const outcomes: Record<PacketView['outcome'], string> = {
  pending: 'no answer yet',
  ack: 'acknowledged',
  nak: 'refused',
  timeout: 'no answer',
  superseded: 'given up for a newer one',
  abandoned: 'its sender ended before an answer',
  unsent: 'not sent',
};

/** A CoA or Disconnect as the session's page shows it. */
export function packetView(packet: PacketView) {
  return {
    ...packet,
    reasonText: packet.why.replaceAll('_', ' '),
    because: packet.because.replaceAll('_', ' '),
    outcomeText:
      packet.errorCause === null
        ? outcomes[packet.outcome]
        : `${outcomes[packet.outcome]}: ${errorCauseWords(packet.errorCause)}`,
    roundTrip: packet.roundTripUs === null ? null : milliseconds(packet.roundTripUs / 1000),
    pairs: packet.pairs.map(([name, value]) => ({ name, value })),
  };
}

export const sessionColumns = [
  'session',
  'username',
  'subscriber',
  'router',
  'address',
  'ipv6_prefix',
  'mac',
  'started_utc',
  'last_heard_utc',
  'ended_utc',
  'ended_because',
  'up_bytes',
  'down_bytes',
  'access',
  'rate_wanted',
  'enforced',
] as const;

/** A session as a line of a CSV file. */
export function sessionLine(view: SessionView): string[] {
  return [
    view.id,
    view.username,
    view.subscriberName ?? '',
    view.routerName ?? view.routerAddress,
    view.address,
    view.ipv6,
    view.mac,
    view.startedAt?.toISOString() ?? '',
    view.heardAt?.toISOString() ?? '',
    view.stoppedAt?.toISOString() ?? '',
    view.cause,
    view.upBytes,
    view.downBytes,
    view.access,
    view.rate ?? '',
    view.enforced.word,
  ];
}
