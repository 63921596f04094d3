import type { Attributes } from './codec.ts';
import { acctStatus, type AcctStatus, type TerminateCause, terminateCause } from './dictionary.ts';
import { printable } from './packet-log.ts';
import type { DialMethod } from './passwords.ts';
import type { Queue } from './rate-limit.ts';
import type { RouterSettings } from './settings.ts';

export interface DialRequest {
  readonly username: string;
  readonly password: string;
  /** Calling-Station-Id; upper case with colons, as RouterOS writes it. One of the router's making where it is left out. */
  readonly mac?: string | undefined;
  readonly method?: DialMethod | undefined;
  /** Share of its rate that the subscriber uses, 0 to 1; a believable one where it is left out. */
  readonly usage?: number | undefined;
  /** The CPE dials again this long after the network dropped it. */
  readonly redialAfterMs?: number | undefined;
  /** Called when the network, not the subscriber, ended the session. */
  readonly onDrop?: ((cause: TerminateCause, redialsAtOnce: boolean) => void) | undefined;
}

/** What an Access-Accept, with the router's profile behind it, gave a session. */
export interface Grant {
  address: string;
  pool: string | undefined;
  queue: Queue | undefined;
  addressList: string | undefined;
  profile: string;
  classes: readonly Buffer[];
  sessionTimeoutSeconds: number | undefined;
  idleTimeoutSeconds: number | undefined;
  interimSeconds: number;
  /** Bytes from the subscriber, to the subscriber, and both, after which the router ends the session. */
  receiveLimit: number | undefined;
  transmitLimit: number | undefined;
  totalLimit: number | undefined;
  framedIpv6Prefix: string | undefined;
  framedIpv6Pool: string | undefined;
  delegatedIpv6Prefix: string | undefined;
  delegatedIpv6Pool: string | undefined;
  warnings: readonly string[];
}

export interface SessionView {
  /** The lab's own key: Acct-Session-Ids repeat. */
  readonly key: string;
  /** Acct-Session-Id. */
  readonly id: string;
  readonly router: string;
  readonly username: string;
  readonly mac: string;
  readonly method: DialMethod;
  readonly address: string;
  readonly pool: string | undefined;
  /** Mikrotik-Rate-Limit as it came; undefined where the session has no queue. */
  readonly rate: string | undefined;
  readonly queue: Queue | undefined;
  readonly list: string | undefined;
  readonly profile: string;
  readonly class: string | undefined;
  readonly sessionTimeoutSeconds: number | undefined;
  readonly idleTimeoutSeconds: number | undefined;
  readonly interimSeconds: number;
  readonly delegatedIpv6Prefix: string | undefined;
  readonly delegatedIpv6Pool: string | undefined;
  readonly framedIpv6Prefix: string | undefined;
  readonly framedIpv6Pool: string | undefined;
  readonly startedAt: string;
  readonly inputOctets: number;
  readonly outputOctets: number;
  readonly state: 'up' | 'ended';
  readonly endCause: TerminateCause | undefined;
  readonly warnings: readonly string[];
  /** The router acknowledged its last CoA and did not do it: nobody who asks by RADIUS alone can know. */
  readonly isLiedAbout: boolean;
}

/** One PPPoE session of a router. Octets grow with time, as far as its queue lets them. */
export class Session {
  readonly key: string;
  readonly id: string;
  readonly username: string;
  readonly mac: string;
  readonly nasPort: number;
  readonly request: DialRequest;
  readonly grant: Grant;
  readonly startedAtMs: number = Date.now();
  state: 'up' | 'ended' = 'up';
  endCause: TerminateCause | undefined;
  endedAtMs: number | undefined;
  interimDueMs: number;
  /** Its accounting packets go one after the other. */
  accounting: Promise<unknown> = Promise.resolve();
  isAccountingBusy = false;
  /** The router acknowledged its last CoA and did not do it. */
  isLiedAbout = false;
  idleSinceMs: number | undefined;
  private inputOctets = 0;
  private outputOctets = 0;
  private touchedMs: number;
  private readonly usage: number;
  private readonly settings: RouterSettings;

  constructor(
    settings: RouterSettings,
    identity: { key: string; id: string; mac: string; nasPort: number },
    request: DialRequest,
    grant: Grant,
  ) {
    this.settings = settings;
    this.key = identity.key;
    this.id = identity.id;
    this.mac = identity.mac;
    this.nasPort = identity.nasPort;
    this.username = request.username;
    this.request = request;
    this.grant = grant;
    this.touchedMs = this.startedAtMs;
    this.usage = request.usage ?? 0.02 + Math.random() * 0.3;
    this.interimDueMs = this.startedAtMs + grant.interimSeconds * 1000;
  }

  /** Lets the octets grow up to now; called before anything that changes the rate. */
  touch(): void {
    const now = this.endedAtMs ?? Date.now();
    const seconds = Math.max(0, now - this.touchedMs) / 1000;
    this.touchedMs = now;
    if (this.idleSinceMs !== undefined) return;
    const { queue } = this.grant;
    const up = limitOf(queue?.uploadBps, this.settings.portBps);
    const down = limitOf(queue?.downloadBps, this.settings.portBps);
    // Households send a good deal less than they fetch.
    this.inputOctets += Math.round((up * seconds * this.usage * 0.2) / 8);
    this.outputOctets += Math.round((down * seconds * this.usage) / 8);
  }

  octets(): { input: number; output: number } {
    this.touch();
    return { input: this.inputOctets, output: this.outputOctets };
  }

  addOctets(input: number, output: number): void {
    this.inputOctets += input;
    this.outputOctets += output;
  }

  /** Seconds since it began, as the router counts them. */
  seconds(): number {
    return Math.floor(((this.endedAtMs ?? Date.now()) - this.startedAtMs) / 1000);
  }

  /** Why the router itself ends the session now, if it does. */
  endsBecause(): TerminateCause | undefined {
    const { grant } = this;
    const now = Date.now();
    if (
      grant.sessionTimeoutSeconds !== undefined &&
      now - this.startedAtMs >= grant.sessionTimeoutSeconds * 1000
    ) {
      return 'Session-Timeout';
    }
    if (
      grant.idleTimeoutSeconds !== undefined &&
      this.idleSinceMs !== undefined &&
      now - this.idleSinceMs >= grant.idleTimeoutSeconds * 1000
    ) {
      return 'Idle-Timeout';
    }
    const limits = [grant.receiveLimit, grant.transmitLimit, grant.totalLimit];
    if (limits.every((limit) => limit === undefined)) return undefined;
    const { input, output } = this.octets();
    const isOver = [input, output, input + output].some((octets, i) => octets >= (limits[i] ?? Infinity));
    return isOver ? 'NAS-Request' : undefined;
  }

  /** The attributes of one accounting packet, in RouterOS's order, but for Acct-Delay-Time. */
  accountingAttributes(status: AcctStatus): Attributes {
    const { grant, settings } = this;
    const attributes: [string, string | number | Buffer][] = [
      ...portAttributes(settings, this),
      ['Acct-Session-Id', this.id],
      ['Framed-IP-Address', grant.address],
      ['Acct-Authentic', 1],
    ];
    if (grant.framedIpv6Prefix !== undefined) attributes.push(['Framed-IPv6-Prefix', grant.framedIpv6Prefix]);
    if (grant.delegatedIpv6Prefix !== undefined) {
      attributes.push(['Delegated-IPv6-Prefix', grant.delegatedIpv6Prefix]);
    }
    for (const each of grant.classes) attributes.push(['Class', each]);
    attributes.push(['Event-Timestamp', Math.floor(Date.now() / 1000) + settings.clockSkewSeconds]);
    if (status !== 'Start') attributes.push(...this.counters());
    attributes.push(['Acct-Status-Type', acctStatus[status]]);
    if (status === 'Stop') {
      attributes.push(['Acct-Terminate-Cause', terminateCause[this.endCause ?? 'User-Request']]);
    }
    return attributes;
  }

  private counters(): [string, number][] {
    const { input, output } = this.octets();
    const [low, high] = [(value: number) => value % 2 ** 32, (value: number) => Math.floor(value / 2 ** 32)];
    return [
      ['Acct-Session-Time', this.seconds()],
      ['Acct-Input-Octets', low(input)],
      ['Acct-Input-Gigawords', high(input)],
      ['Acct-Input-Packets', Math.floor(input / 400) % 2 ** 32],
      ['Acct-Output-Octets', low(output)],
      ['Acct-Output-Gigawords', high(output)],
      ['Acct-Output-Packets', Math.floor(output / 1000) % 2 ** 32],
    ];
  }

  view(): SessionView {
    const { grant } = this;
    const { input, output } = this.octets();
    const [first] = grant.classes;
    return {
      key: this.key,
      id: this.id,
      router: this.settings.name,
      username: this.username,
      mac: this.mac,
      method: this.request.method ?? 'chap',
      address: grant.address,
      pool: grant.pool,
      rate: grant.queue?.text,
      queue: grant.queue,
      list: grant.addressList,
      profile: grant.profile,
      class: first === undefined ? undefined : printable(first),
      sessionTimeoutSeconds: grant.sessionTimeoutSeconds,
      idleTimeoutSeconds: grant.idleTimeoutSeconds,
      interimSeconds: grant.interimSeconds,
      delegatedIpv6Prefix: grant.delegatedIpv6Prefix,
      delegatedIpv6Pool: grant.delegatedIpv6Pool,
      framedIpv6Prefix: grant.framedIpv6Prefix,
      framedIpv6Pool: grant.framedIpv6Pool,
      startedAt: new Date(this.startedAtMs).toISOString(),
      inputOctets: input,
      outputOctets: output,
      state: this.state,
      endCause: this.endCause,
      warnings: grant.warnings,
      isLiedAbout: this.isLiedAbout,
    };
  }
}

/** What RouterOS says about the subscriber's line, in Access- and Accounting-Requests alike. */
export function portAttributes(
  settings: RouterSettings,
  line: { username: string; mac: string; nasPort: number },
): [string, string | number][] {
  return [
    ['Service-Type', 2],
    ['Framed-Protocol', 1],
    ['NAS-Port', line.nasPort],
    ['NAS-Port-Type', 15],
    ['User-Name', line.username],
    ['Calling-Station-Id', line.mac],
    ['Called-Station-Id', settings.serviceName],
    ['NAS-Port-Id', settings.interfaceName],
  ];
}

function limitOf(bps: number | undefined, portBps: number): number {
  return bps === undefined || bps === 0 ? portBps : Math.min(bps, portBps);
}
