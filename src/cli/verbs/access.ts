import {
  type AccessChangeView,
  accessChangesOf,
  type DecisionView,
  decisionOf,
  enforcementsOfLogin,
  type EnforcementView,
  lastReject,
  openSessionViews,
  queuedKey,
  type QueueView,
  type RejectView,
  type SessionView,
} from '../../db/access-view.ts';
import type { Db } from '../../db/knex.ts';
import type { LoginRow } from '../../db/subscribers.ts';
import { formatRateLimit } from '../../domain/rate-limit.ts';
import { type Evidence, evidenceOf } from '../../domain/session-evidence.ts';
import { sentenceOfLogin, type StoryFrame } from '../../network/access-story.ts';
import { lookAtLogin, type LoginLook } from '../../network/login-look.ts';
import { access as accessText, ago, clockTime, time } from '../format.ts';
import { facts, table } from '../output.ts';
import { requireLogin } from '../subject.ts';
import type { Call, Verb } from '../verb.ts';

export const access: Verb = {
  name: 'access',
  group: 'Access',
  summary: 'what a login may do, why, and whether the network knows',
  positionals: [{ name: 'USERNAME' }],
  details: [
    'Decided is what Sluice wants, from the facts as they are now. Rows are what FreeRADIUS finds at the next dial. Each live session shows how far the network has come: wanted, sent, acknowledged by the router, confirmed by something that was observed. What is not known is said to be unknown.',
    'Exit code 1 when rows or a session are not yet what they should be.',
  ],
  examples: ['access amina', 'access amina --json'],
  async run(call) {
    const shown = await look(call, call.positional('USERNAME'));
    call.out.show({ ok: shown.isSettled, ...shown.data }, () => shown.lines);
    return shown.isSettled ? 0 : 1;
  },
};

interface Seen {
  login: LoginRow;
  stored: DecisionView | undefined;
  rows: LoginLook;
  /** Why, in words; null where nothing can be decided. */
  sentence: string | null;
  sessions: (SessionView & { evidence: Evidence })[];
  queued: QueueView | undefined;
  reject: RejectView | undefined;
  changes: AccessChangeView[];
  packets: EnforcementView[];
}

async function look(call: Call, username: string) {
  const { db, vault } = call.app();
  const login = await requireLogin(db, username);
  const now = call.clock.now();
  const stored = await decisionOf(db, login.id);
  const settings = await call.settings();
  const rows = await lookAtLogin({ db, vault, now }, login);
  const seen: Seen = {
    login,
    stored,
    rows,
    sentence: rows.ok ? await sentenceOf({ db, settings, now }, login, rows, stored) : null,
    sessions: (await openSessionViews(db, login.username)).map((session) => ({
      ...session,
      evidence: evidenceOf(session, stored, login.id),
    })),
    queued: await queuedKey(db, 'login', login.id),
    reject: await lastReject(db, login.username),
    changes: await accessChangesOf(db, login.id, 3),
    packets: await enforcementsOfLogin(db, login.id, 3),
  };
  const { sessions } = seen;
  const areRowsRight = rows.ok && rows.rows.every((row) => row.isRight);
  const isSettled = areRowsRight && sessions.every((session) => session.evidence.isSettled);
  return { isSettled, lines: linesOf(seen, settings.zone, now), data: { ...dataOf(seen), areRowsRight } };
}

/** The sentence that the subscriber's page has. */
async function sentenceOf(
  { db, ...frame }: StoryFrame & { db: Db },
  login: LoginRow,
  look: Extract<LoginLook, { ok: true }>,
  stored: DecisionView | undefined,
): Promise<string> {
  const { access, reason, reviewAt } = look.decision;
  const rate = rateOf(look);
  const isNews = stored?.access !== access.kind || stored.reason !== reason || stored.rateLimit !== rate;
  const decided = { access: access.kind, reason, rate, reviewAt, isNews };
  return (await sentenceOfLogin(db, frame, login, decided)).text;
}

function dataOf(seen: Seen): Record<string, unknown> {
  const { login, rows } = seen;
  const decision = rows.ok
    ? { ...rows.decision, access: rows.decision.access.kind, rate: rateOf(rows) }
    : null;
  return {
    login: { id: login.id, username: login.username, subscriberId: login.subscriberId },
    decision,
    sentence: seen.sentence,
    stored: seen.stored ?? null,
    error: rows.ok ? null : rows.error,
    rows: rows.ok ? rows.rows : [],
    sessions: seen.sessions,
    queued: seen.queued ?? null,
    lastReject: seen.reject ?? null,
    changes: seen.changes,
    packets: seen.packets,
  };
}

function linesOf(seen: Seen, zone: string, now: Date): string[] {
  const { login, rows, changes } = seen;
  return [
    ...facts([
      [
        'login',
        `${login.username} of subscriber #${login.subscriberId}${login.retiredAt === null ? '' : ', retired'}`,
      ],
      ['decided', decidedText(rows, seen.stored)],
      ['why', seen.sentence ?? undefined],
      ['next review', reviewText(rows, zone)],
      ['waiting', waitingText(seen.queued, now)],
      [
        'changes',
        changes.length === 0
          ? undefined
          : changes.map((one) => `${time(one.at, zone)}  ${one.from ?? 'new'} -> ${one.to} (${one.reason})`),
      ],
      ['last reject', rejectText(seen.reject, zone)],
    ]),
    '',
    ...rowLines(rows),
    '',
    ...sessionLines(seen.sessions, zone, now),
    ...packetLines(seen.packets, zone),
  ];
}

function waitingText(queued: QueueView | undefined, now: Date): string | undefined {
  if (queued === undefined) return undefined;
  const error = queued.lastError === null ? '' : `; last error: ${queued.lastError}`;
  if (queued.isParked) return `given up after ${queued.attempts} attempts${error} ("sluice needs-attention")`;
  return `to be looked at, asked ${ago(queued.requestedAt, now)}${error}`;
}

function rejectText(reject: RejectView | undefined, zone: string): string {
  if (reject === undefined) return 'none that FreeRADIUS noted';
  const device = reject.mac === '' ? 'an unknown device' : reject.mac;
  return `${time(reject.at, zone)}  ${reject.reason}, from ${device} at ${reject.routerName ?? reject.routerAddress}`;
}

function rateOf(rows: Extract<LoginLook, { ok: true }>): string | null {
  const { access } = rows.decision;
  return access.kind === 'throttled' ? formatRateLimit(access.rate) : null;
}

function decidedText(rows: LoginLook, stored: DecisionView | undefined): string[] {
  if (!rows.ok) return [`cannot be decided: ${rows.error}`];
  const { access, reason } = rows.decision;
  const text = accessText({ access: access.kind, reason, rate: rateOf(rows) });
  if (stored === undefined) return [text, 'never written down yet: the worker has not looked at this login'];
  if (stored.access === access.kind && stored.reason === reason) return [text];
  return [
    text,
    `written down so far: ${accessText({ access: stored.access, reason: stored.reason, rate: stored.rateLimit })}`,
  ];
}

function reviewText(rows: LoginLook, zone: string): string | undefined {
  if (!rows.ok) return undefined;
  const { reviewAt } = rows.decision;
  return reviewAt === null ? 'only when something happens' : time(reviewAt, zone);
}

function rowLines(rows: LoginLook): string[] {
  if (!rows.ok) return [];
  if (rows.rows.length === 0) return ['FreeRADIUS does not know this login, as it should be.'];
  const wrong = rows.rows.filter((row) => !row.isRight).length;
  return [
    wrong === 0
      ? 'Rows for FreeRADIUS: as they should be'
      : `Rows for FreeRADIUS: ${wrong} of ${rows.rows.length} differ`,
    ...table(
      ['', 'TABLE', 'ATTRIBUTE', 'SHOULD BE', 'IS'],
      rows.rows.map((row) => [
        row.isRight ? '  ' : '!!',
        row.table,
        row.attribute,
        row.desired ?? '(none)',
        row.isRight ? 'same' : (row.actual ?? '(missing)'),
      ]),
    ),
  ];
}

function sessionLines(
  sessions: readonly (SessionView & { evidence: Evidence })[],
  zone: string,
  now: Date,
): string[] {
  if (sessions.length === 0) return ['No live session.'];
  return sessions.flatMap((session) =>
    facts([
      [
        'live session',
        `${session.framedIp === '' ? 'no address' : session.framedIp}, ${session.mac}, on ${session.routerName ?? session.routerAddress}${session.breaker === 'open' ? ', which does not answer' : ''}`,
      ],
      [
        'since',
        session.startedAt === null
          ? 'unknown'
          : `${time(session.startedAt, zone)}, heard ${session.heardAt === null ? 'never' : ago(session.heardAt, now)}`,
      ],
      ['has', session.evidence.has],
      ['wanted', session.evidence.wanted],
      ['sent', session.evidence.sent],
      ['acknowledged', session.evidence.acknowledged],
      ['confirmed', session.evidence.confirmed],
    ]),
  );
}

function packetLines(packets: readonly EnforcementView[], zone: string): string[] {
  if (packets.length === 0) return [];
  return [
    '',
    'Last packets',
    ...packets.map((packet) => {
      const answer =
        packet.outcome === 'nak' ? `nak, Error-Cause ${packet.errorCause ?? 'none'}` : packet.outcome;
      const tookMs = packet.roundTripUs === null ? '' : ` in ${(packet.roundTripUs / 1000).toFixed(1)} ms`;
      return `  ${clockTime(packet.sentAt, zone)}  ${packet.action} (${packet.why}): ${answer}${tookMs}`;
    }),
  ];
}
