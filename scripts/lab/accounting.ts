import { setMaxListeners } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { type Attributes, encodePacket, sealRequest } from './codec.ts';
import { acctStatus, type AcctStatus, packetCode } from './dictionary.ts';
import type { Faults } from './faults.ts';
import type { PacketLog } from './packet-log.ts';
import type { ExchangeOutcome, RadiusClient } from './radius-client.ts';
import type { Session } from './session.ts';
import type { RouterSettings } from './settings.ts';

export type AccountingOutcome = 'answered' | 'gave_up' | 'lost' | 'closed';

export interface AccountingCounters {
  answered: number;
  gaveUp: number;
  lost: number;
}

export interface AccountingHost {
  settings(): RouterSettings;
  readonly faults: Faults;
  readonly log: PacketLog;
  readonly client: RadiusClient;
}

/** Start, Interim-Update and Stop of a router's sessions: those of one session one after the other. */
export class Accounting {
  readonly counters: AccountingCounters = { answered: 0, gaveUp: 0, lost: 0 };
  private readonly host: AccountingHost;
  private open = new Set<Promise<unknown>>();
  private stopping = newController();

  constructor(host: AccountingHost) {
    this.host = host;
  }

  /** Sends a packet of a session when its earlier ones are through. */
  send(session: Session, status: AcctStatus): Promise<AccountingOutcome> {
    const { faults } = this.host;
    if (
      faults.take('lose_accounting', session.id) ??
      (status === 'Stop' && faults.take('lose_stops', session.id))
    ) {
      return Promise.resolve(this.lose(status, session));
    }
    // What the packet says is what is true now, not when its turn comes.
    const attributes = session.accountingAttributes(status);
    const sent = session.accounting.then(() => this.deliver(status, attributes));
    session.accounting = sent;
    return this.track(sent);
  }

  /** A packet about the router itself: Accounting-On or -Off. */
  announce(status: 'Accounting-On' | 'Accounting-Off', sessionId: string): Promise<AccountingOutcome> {
    if (this.host.faults.take('lose_accounting') !== undefined) return Promise.resolve(this.lose(status));
    const now = Math.floor(Date.now() / 1000) + this.host.settings().clockSkewSeconds;
    const attributes: Attributes = [
      ['Acct-Session-Id', sessionId],
      ['Event-Timestamp', now],
      ['Acct-Status-Type', acctStatus[status]],
    ];
    return this.track(this.deliver(status, attributes));
  }

  /** Resolves when every packet so far has been answered, given up or lost. */
  async idle(): Promise<void> {
    while (this.open.size > 0) await Promise.all(this.open);
  }

  /** Forgets what is unsent: RouterOS does not send it after a reboot. */
  drop(): void {
    this.stopping.abort();
    this.stopping = newController();
  }

  private track(sent: Promise<AccountingOutcome>): Promise<AccountingOutcome> {
    this.open.add(sent);
    return sent.finally(() => this.open.delete(sent));
  }

  private lose(status: AcctStatus, session?: Session): 'lost' {
    this.counters.lost++;
    const { address, port } = this.host.settings().acctServer;
    this.host.log.add({
      direction: 'out',
      peer: `${address}:${port}`,
      code: packetCode.accountingRequest,
      identifier: 0,
      result: 'lost',
      attributes: session?.accountingAttributes(status) ?? [['Acct-Status-Type', acctStatus[status]]],
    });
    return 'lost';
  }

  /**
   * One round is the same bytes `attempts` times. A Start or Stop that stays unanswered goes round again as a new packet
   * with the Acct-Delay-Time grown; an interim does not, since the next one says more.
   */
  private async deliver(status: AcctStatus, attributes: Attributes): Promise<AccountingOutcome> {
    const { signal } = this.stopping;
    const beganMs = performance.now();
    for (;;) {
      if (signal.aborted) return 'closed';
      const delay = Math.floor((performance.now() - beganMs) / 1000);
      const outcome = await this.round(attributes, delay);
      if (outcome.ok) {
        this.counters.answered++;
        this.host.settings().onAccounted(attributes);
        return 'answered';
      }
      if (outcome.why === 'closed') return 'closed';
      const elapsed = (performance.now() - beganMs) / 1000;
      if (status === 'Interim-Update' || elapsed >= this.host.settings().accountingGiveUpSeconds) {
        this.counters.gaveUp++;
        return 'gave_up';
      }
      await wait(this.host.settings().timeoutMs, undefined, { signal }).catch(() => undefined);
    }
  }

  private round(attributes: Attributes, delaySeconds: number): Promise<ExchangeOutcome> {
    const settings = this.host.settings();
    const all: Attributes = [
      ...attributes,
      ['NAS-Identifier', settings.identity],
      ['Acct-Delay-Time', delaySeconds],
      ['NAS-IP-Address', settings.claimedAddress],
    ];
    return this.host.client.exchange({
      server: settings.acctServer,
      secret: settings.secret,
      timeoutMs: settings.timeoutMs,
      attempts: settings.attempts,
      requiresMessageAuthenticator: false,
      code: packetCode.accountingRequest,
      attributes: all,
      make: (identifier) =>
        sealRequest(encodePacket(packetCode.accountingRequest, identifier, all), settings.secret),
    });
  }
}

/** Every packet that waits for its next round listens to it, which may be thousands while a server is away. */
function newController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
