import type { Knex } from 'knex';
import { probeLogin, type ProbeOutcome } from '../adapters/freeradius/probe.ts';
import type { Vault } from '../adapters/vault.ts';
import type { Clock } from '../clock.ts';
import { recordActivity } from '../db/activity.ts';
import { loginFacts } from '../db/account-facts.ts';
import type { LoginRow } from '../db/subscribers.ts';

/** What a test login needs of the process: `App` has all of it. */
export interface TryLoginParts {
  readonly db: Knex;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly config: {
    readonly freeradius: {
      readonly authAddress: string;
      readonly authPort: number;
      readonly statusSecret: string | undefined;
    };
  };
}

export type LoginTrial =
  | {
      readonly ok: true;
      readonly outcome: ProbeOutcome;
      /** The device that the request named; null where none is known for the login. */
      readonly mac: string | null;
    }
  /** `not_configured`: nobody has told this process the secret of FreeRADIUS's client "status". */
  | { readonly ok: false; readonly reason: 'not_configured' | 'no_facts' | 'secret_unreadable' };

const timeoutMs = 3500;

/**
 * Asks FreeRADIUS for real, with the login's own password, whether it would let it in. It asks as the client "status"
 * of this host and not as a router, whose address nobody else can send from: so everything is proved but the way from
 * the router to FreeRADIUS. It names the device that the login is locked to, or the one it was last seen with. FreeRADIUS
 * notes a refusal as it would note a router's; nothing is accounted, so nobody is online by it.
 *
 * It stands here because it talks to FreeRADIUS, which commands may not.
 */
export async function tryLogin(
  parts: TryLoginParts,
  login: LoginRow,
  by: { actor: string; correlationId: string; lastMac: string | null },
): Promise<LoginTrial> {
  const { authAddress, authPort, statusSecret } = parts.config.freeradius;
  if (statusSecret === undefined) return { ok: false, reason: 'not_configured' };
  const facts = (await loginFacts(parts.db, [login.id])).get(login.id);
  if (facts?.ok !== true) return { ok: false, reason: 'no_facts' };
  let password: string;
  try {
    password = parts.vault.open(`login.secret:${login.id}`, facts.facts.secret);
  } catch {
    return { ok: false, reason: 'secret_unreadable' };
  }
  const mac = login.macLock ?? by.lastMac;
  const outcome = await probeLogin(
    { address: authAddress, port: authPort, secret: statusSecret, timeoutMs },
    { username: login.username, password, ...(mac === null ? {} : { mac }) },
  );
  await recordActivity(parts.db, {
    at: parts.clock.now(),
    actor: by.actor,
    verb: 'login.test',
    subject: { kind: 'login', id: login.id },
    subscriberId: login.subscriberId,
    loginId: login.id,
    correlationId: by.correlationId,
    outcome: outcome.kind,
    diff: 'replyMessage' in outcome && outcome.replyMessage !== null ? { answer: outcome.replyMessage } : {},
  });
  return { ok: true, outcome, mac };
}
