import { randomBytes } from 'node:crypto';
import { type Changes, grantFrom, type NoAddress, replyMessage, successOf } from './access.ts';
import { Accounting, type AccountingOutcome } from './accounting.ts';
import { type Attributes, emptyMessageAuthenticator, encodePacket, sealAccessRequest } from './codec.ts';
import { type AcctStatus, packetCode, type TerminateCause } from './dictionary.ts';
import { Faults } from './faults.ts';
import { Incoming } from './incoming.ts';
import { type LoggedPacket, PacketLog } from './packet-log.ts';
import { provesItself, proveWith } from './passwords.ts';
import { Pools } from './pools.ts';
import { RadiusClient } from './radius-client.ts';
import { type DialRequest, portAttributes, Session, type SessionView } from './session.ts';
import { type RouterOptions, type RouterSettings, settingsOf } from './settings.ts';

export type DialOutcome =
  | { readonly ok: true; readonly session: SessionView }
  | { readonly ok: false; readonly why: 'reject'; readonly replyMessage: string | undefined }
  /** `closed`: the router went down meanwhile. */
  | { readonly ok: false; readonly why: 'timeout' | 'bad_reply' | 'closed' }
  /** RADIUS accepted, but the router has no address to give. */
  | { readonly ok: false; readonly why: NoAddress; readonly pool: string | undefined };

const checkMs = 200;
const endedKept = 500;
const packetsKept = 300;

/**
 * A MikroTik router as RADIUS sees it: it dials for its subscribers, keeps their sessions, accounts for them, and takes
 * CoA and Disconnect on its own address.
 */
export class LabRouter {
  readonly faults = new Faults();
  private settings: RouterSettings;
  private readonly log = new PacketLog(packetsKept);
  private readonly pools: Pools;
  private readonly client: RadiusClient;
  private readonly accounting: Accounting;
  private readonly incoming: Incoming;
  private live = new Map<string, Session>();
  private ended: Session[] = [];
  private readonly dials = { dials: 0, accepted: 0, rejected: 0, failed: 0 };
  private readonly redials = new Set<NodeJS.Timeout>();
  private checker: NodeJS.Timeout | undefined;
  private keyCounter = 0;
  private sessionCounter = 0;
  private sessionSecond = 0;
  private rebootCounter = 0;
  private reboots = 0;
  private coaPortBound = 0;

  constructor(options: RouterOptions) {
    this.settings = settingsOf(options);
    this.pools = new Pools(this.settings.pools);
    this.client = new RadiusClient(this.settings.address, this.log, () => this.faults.has('deaf'));
    const settings = () => this.settings;
    this.accounting = new Accounting({ settings, faults: this.faults, log: this.log, client: this.client });
    this.incoming = new Incoming({
      settings,
      faults: this.faults,
      log: this.log,
      sessions: () => [...this.live.values()],
      change: (session, changes) => change(session, changes),
      disconnect: (session) => this.end(session, 'Admin-Reset', 'network'),
    });
  }

  get name(): string {
    return this.settings.name;
  }

  get address(): string {
    return this.settings.address;
  }

  /** Where it listens for CoA, known once it is open. */
  get coaPort(): number {
    return this.coaPortBound;
  }

  /** Binds its addresses; rejects when they are taken. */
  async open(): Promise<this> {
    this.coaPortBound = await this.incoming.open(this.settings.coaPort);
    this.checker = setInterval(() => this.check(), checkMs);
    return this;
  }

  /** Ends without a word, like a cable pulled: no Stops. */
  async close(): Promise<void> {
    clearInterval(this.checker);
    for (const timer of this.redials) clearTimeout(timer);
    this.redials.clear();
    this.accounting.drop();
    await this.client.close();
    await this.incoming.close();
    await this.accounting.idle();
  }

  /** One PPPoE dial: asks RADIUS, applies the answer, begins to account. */
  async dial(request: DialRequest): Promise<DialOutcome> {
    this.dials.dials++;
    const boot = this.reboots;
    const line = {
      key: `${this.name}-${++this.keyCounter}`,
      id: this.nextSessionId(),
      mac: (request.mac ?? madeUpMac(this.keyCounter)).toUpperCase(),
      nasPort: 15_728_640 + (this.keyCounter % 0x100000),
    };
    const asked = await this.ask(request, line);
    if (!asked.ok) {
      this.dials[asked.why === 'reject' ? 'rejected' : 'failed']++;
      return asked;
    }
    // Sessions of before a reboot are gone, those that were being set up too.
    if (boot !== this.reboots) return { ok: false, why: 'closed' };
    const given = grantFrom(asked.accept, this.settings, this.pools);
    if ('why' in given) {
      this.dials.failed++;
      return { ok: false, why: given.why, pool: given.pool };
    }
    this.dials.accepted++;
    const session = new Session(this.settings, line, request, given.grant);
    this.live.set(session.key, session);
    void this.accounting.send(session, 'Start');
    return { ok: true, session: session.view() };
  }

  private async ask(
    request: DialRequest,
    line: { id: string; mac: string; nasPort: number },
  ): Promise<{ ok: true; accept: Attributes } | Extract<DialOutcome, { ok: false }>> {
    const { settings } = this;
    const authenticator = randomBytes(16);
    const credentials = proveWith(request.method ?? 'chap', request, authenticator, settings.secret);
    const attributes: Attributes = [
      ...(settings.sendsMessageAuthenticator ? [emptyMessageAuthenticator] : []),
      ...portAttributes(settings, { username: request.username, mac: line.mac, nasPort: line.nasPort }),
      ['Acct-Session-Id', line.id],
      ...credentials.attributes,
      ['NAS-Identifier', settings.identity],
      ['NAS-IP-Address', settings.claimedAddress],
    ];
    const outcome = await this.client.exchange({
      server: settings.authServer,
      secret: settings.secret,
      timeoutMs: settings.timeoutMs,
      attempts: settings.attempts,
      requiresMessageAuthenticator: settings.requiresMessageAuthenticator,
      code: packetCode.accessRequest,
      attributes,
      make: (identifier) =>
        sealAccessRequest(
          encodePacket(packetCode.accessRequest, identifier, attributes),
          authenticator,
          settings.secret,
        ),
    });
    if (!outcome.ok) return { ok: false, why: outcome.why };
    const { reply } = outcome;
    if (reply.code === packetCode.accessReject) {
      return { ok: false, why: 'reject', replyMessage: replyMessage(reply.attributes) };
    }
    const { successExpected } = credentials;
    if (successExpected !== undefined && !provesItself(successExpected, successOf(reply.attributes))) {
      return { ok: false, why: 'bad_reply' };
    }
    return { ok: true, accept: reply.attributes };
  }

  /** The subscriber hangs up: a Stop, and nobody redials. False when no such session is up. */
  hangUp(keyOrId: string, cause: TerminateCause = 'User-Request'): boolean {
    const session = this.find(keyOrId);
    if (session?.state !== 'up') return false;
    this.end(session, cause, 'subscriber');
    return true;
  }

  /** Every session ends with a Stop; resolves when the Stops are answered or given up. */
  async hangUpAll(cause: TerminateCause = 'Admin-Reboot'): Promise<void> {
    for (const session of [...this.live.values()]) this.end(session, cause, 'subscriber');
    await this.accounting.idle();
  }

  private end(session: Session, cause: TerminateCause, by: 'network' | 'subscriber'): void {
    session.touch();
    session.state = 'ended';
    session.endCause = cause;
    session.endedAtMs = Date.now();
    this.live.delete(session.key);
    this.ended.push(session);
    if (this.ended.length > endedKept * 2) this.ended = this.ended.slice(-endedKept);
    this.pools.release(session.grant.address);
    void this.accounting.send(session, 'Stop');
    if (this.faults.take('stop_twice', session.id)) void this.accounting.send(session, 'Stop');
    if (this.faults.take('interim_after_stop', session.id))
      void this.accounting.send(session, 'Interim-Update');
    if (by === 'network') this.dropped(session, cause);
  }

  private dropped(session: Session, cause: TerminateCause): void {
    const isAtOnce = this.faults.take('redial_at_once', session.id) !== undefined;
    const { onDrop, redialAfterMs } = session.request;
    if (onDrop !== undefined) {
      onDrop(cause, isAtOnce);
      return;
    }
    const afterMs = isAtOnce ? 0 : redialAfterMs;
    if (afterMs === undefined) return;
    if (afterMs === 0) {
      void this.dial(session.request);
      return;
    }
    const timer = setTimeout(() => {
      this.redials.delete(timer);
      void this.dial(session.request);
    }, afterMs);
    this.redials.add(timer);
  }

  /** Power goes and comes back: sessions vanish without a Stop, unsent accounting too; then Accounting-On. */
  async reboot(
    options: { keepsCounter?: boolean; isSilent?: boolean } = {},
  ): Promise<AccountingOutcome | 'silent'> {
    this.reboots++;
    const lost = [...this.live.values()];
    this.live = new Map();
    this.pools.releaseAll();
    this.accounting.drop();
    this.client.drop();
    this.incoming.drop();
    for (const session of lost) {
      session.touch();
      session.state = 'ended';
      session.endCause = 'NAS-Reboot';
      session.endedAtMs = Date.now();
      this.ended.push(session);
    }
    this.sessionCounter = 0;
    if (options.keepsCounter !== true) this.rebootCounter = (this.rebootCounter + 1) % 16;
    const announced = options.isSilent === true ? ('silent' as const) : this.announce();
    for (const session of lost) this.dropped(session, 'NAS-Reboot');
    return announced;
  }

  /** Tells the accounting server that the router has just begun (RFC 2866 section 5.1). */
  announce(): Promise<AccountingOutcome> {
    return this.accounting.announce('Accounting-On', this.nextSessionId());
  }

  /** Sends one more accounting packet of a session, live or ended: a repeated Stop, an interim that comes too late. */
  account(keyOrId: string, status: AcctStatus): Promise<AccountingOutcome> {
    const session = this.find(keyOrId);
    if (session === undefined) throw new RangeError(`session: ${this.name} has none called ${keyOrId}`);
    return this.accounting.send(session, status);
  }

  /** Adds traffic to a session, over what its rate brings by itself. */
  addOctets(keyOrId: string, input: number, output: number): void {
    this.find(keyOrId)?.addOctets(input, output);
  }

  /** Stops or starts a session's traffic, for Idle-Timeout. */
  setIdle(keyOrId: string, isIdle: boolean): void {
    const session = this.find(keyOrId);
    if (session === undefined) return;
    session.touch();
    session.idleSinceMs = isIdle ? (session.idleSinceMs ?? Date.now()) : undefined;
  }

  /** /radius set secret: for everything from now on. */
  setSecret(secret: string): void {
    this.settings = { ...this.settings, secret };
  }

  /** Resolves when all accounting so far is answered, given up or lost. */
  accountingIdle(): Promise<void> {
    return this.accounting.idle();
  }

  /** Sessions that are up, oldest first. */
  sessions(): SessionView[] {
    return [...this.live.values()].map((session) => session.view());
  }

  /** Sessions that ended, the last ones. */
  endedSessions(): SessionView[] {
    return this.ended.slice(-endedKept).map((session) => session.view());
  }

  /** A session by the lab's key, or the live (else the last ended) one with this Acct-Session-Id. */
  session(keyOrId: string): SessionView | undefined {
    return this.find(keyOrId)?.view();
  }

  poolNames(): string[] {
    return this.pools.names();
  }

  /** The last packets in and out, oldest first. */
  packets(limit?: number): LoggedPacket[] {
    return this.log.last(limit);
  }

  counters(): Record<string, number> {
    return {
      ...this.dials,
      radiusRequests: this.client.counters.requests,
      radiusRetransmits: this.client.counters.retransmits,
      radiusTimeouts: this.client.counters.timeouts,
      radiusBadReplies: this.client.counters.badReplies,
      accountingAnswered: this.accounting.counters.answered,
      accountingGaveUp: this.accounting.counters.gaveUp,
      accountingLost: this.accounting.counters.lost,
      incomingRequests: this.incoming.counters.requests,
      incomingAcks: this.incoming.counters.acks,
      incomingNaks: this.incoming.counters.naks,
      incomingBadRequests: this.incoming.counters.badRequests,
      incomingRepeats: this.incoming.counters.repeats,
      sessions: this.live.size,
    };
  }

  private find(keyOrId: string): Session | undefined {
    return (
      this.live.get(keyOrId) ??
      [...this.live.values()].find((session) => session.id === keyOrId) ??
      this.ended.findLast((session) => session.key === keyOrId || session.id === keyOrId)
    );
  }

  /** RouterOS's scheme: two symbols for the service, one for the reboot counter, the rest counts sessions. */
  private nextSessionId(): string {
    const second = Math.floor(Date.now() / 1000);
    const isRepeated = this.faults.has('repeat_session_ids') && second === this.sessionSecond;
    if (!isRepeated) this.sessionCounter = (this.sessionCounter + 1) % 0x100000;
    this.sessionSecond = second;
    return `81${this.rebootCounter.toString(16)}${this.sessionCounter.toString(16).padStart(5, '0')}`;
  }

  private check(): void {
    const now = Date.now();
    for (const session of [...this.live.values()]) {
      const cause = session.endsBecause();
      if (cause !== undefined) {
        this.end(session, cause, 'network');
        continue;
      }
      const { interimSeconds } = session.grant;
      if (interimSeconds === 0 || now < session.interimDueMs) continue;
      session.interimDueMs = now + interimSeconds * 1000;
      // While an earlier packet is still unanswered the next interim says it all.
      if (session.isAccountingBusy) continue;
      session.isAccountingBusy = true;
      void this.accounting.send(session, 'Interim-Update').finally(() => {
        session.isAccountingBusy = false;
      });
    }
  }
}

function change(session: Session, changes: Changes): void {
  session.touch();
  const { queue, profile, ...limits } = changes;
  if (queue !== undefined) session.grant.queue = queue;
  if (profile !== undefined) session.grant.profile = profile;
  Object.assign(session.grant, limits);
}

function madeUpMac(counter: number): string {
  const digits = counter.toString(16).padStart(6, '0').slice(-6);
  return `02:AB:00:${digits.slice(0, 2)}:${digits.slice(2, 4)}:${digits.slice(4)}`;
}
