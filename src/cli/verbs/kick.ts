import { setTimeout as wait } from 'node:timers/promises';
import { kickSession } from '../../network/kick-session.ts';
import { type EnforcementView, enforcementsOfLogin, openSessionViews } from '../../db/access-view.ts';
import type { LoginRow } from '../../db/subscribers.ts';
import { count } from '../format.ts';
import { optional } from '../optional.ts';
import { refuse } from '../refusal.ts';
import { requireLogin } from '../subject.ts';
import type { Call, Verb } from '../verb.ts';

const refusals = {
  no_open_session: 'No session of it is open, as far as accounting knows.',
  no_router: 'Accounting names no router that we know for it, so nobody can be told.',
} as const;

export const kick: Verb = {
  name: 'kick',
  group: 'Access',
  summary: 'disconnects the live sessions of a login; it may dial again at once',
  positionals: [{ name: 'USERNAME' }],
  options: {
    note: { value: 'TEXT', about: 'why' },
    wait: {
      value: 'SECONDS',
      about: 'how long to watch what comes of it; 5 where it is left out, 0 does not wait',
    },
  },
  details: [
    'Exit code 1 when a router refused or did not answer within the wait. To keep it offline, use "sluice hold".',
  ],
  examples: ['kick amina', 'kick amina --note "stuck session" --wait 15'],
  async run(call) {
    const login = await requireLogin(call.app().db, call.positional('USERNAME'));
    const result = await kickSession(call.context(), {
      username: login.username,
      ...optional('note', call.maybeText('note')),
    });
    if (!result.ok) return refuse(call, result, refusals[result.reason]);
    const kicked = result.sessions.map((session) => String(session.sessionId));
    const outcome = await watchSessions(call, login, kicked);
    call.out.show({ ...result, ok: outcome.open === 0, ...outcome }, () => [
      `Asked ${count(kicked.length, 'router session')} to end.`,
      outcome.open === 0
        ? 'All of them have ended (their Stop came).'
        : `${outcome.open} still open, as far as accounting knows.`,
      ...outcome.packets.map(
        (packet) =>
          `  ${packet.action}: ${packet.outcome}${packet.errorCause === null ? '' : `, Error-Cause ${packet.errorCause}`}`,
      ),
    ]);
    return outcome.open === 0 ? 0 : 1;
  },
};

/** Looks until no kicked session is open, or the time is over. */
async function watchSessions(
  call: Call,
  login: LoginRow,
  kicked: readonly string[],
): Promise<{ open: number; packets: EnforcementView[] }> {
  const { db } = call.app();
  const end = performance.now() + (call.whole('wait') ?? 5) * 1000;
  for (;;) {
    const open = (await openSessionViews(db, login.username)).filter((session) =>
      kicked.includes(session.radacctid),
    );
    // The Stop often comes before the answer; and what was sent before the kick is of no interest here.
    const packets = (await enforcementsOfLogin(db, login.id, 20)).filter(
      (packet) => packet.why === 'kick' && kicked.includes(packet.radacctid),
    );
    const isKnown = open.length === 0 && packets.every((packet) => packet.outcome !== 'pending');
    if (isKnown || performance.now() >= end || call.signal.aborted) return { open: open.length, packets };
    call.out.progress(`${open.length} still open`);
    await wait(100);
  }
}
