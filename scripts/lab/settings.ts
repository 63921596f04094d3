import type { Attributes } from './codec.ts';
import type { Range } from './pools.ts';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What a PPP profile on the router gives where the Access-Accept is silent. */
export interface Profile {
  readonly pool?: string | undefined;
  readonly rateLimit?: string | undefined;
  readonly addressList?: string | undefined;
}

export interface RouterOptions {
  readonly name: string;
  /** Source of its packets, and where it listens for CoA: any of 127/8. */
  readonly address: string;
  readonly secret: string;
  readonly authServer: Endpoint;
  readonly acctServer: Endpoint;
  /** /radius incoming port; 0 takes a free one. */
  readonly coaPort?: number | undefined;
  /** Addresses under /radius: who may send CoA. The two servers' where it is left out. */
  readonly dynamicClients?: readonly string[] | undefined;
  /** NAS-Identifier (/system identity). */
  readonly identity?: string | undefined;
  /** NAS-IP-Address in its packets: often a LAN address that other routers have too. */
  readonly claimedAddress?: string | undefined;
  readonly serviceName?: string | undefined;
  readonly interfaceName?: string | undefined;
  /** /radius timeout. */
  readonly timeoutMs?: number | undefined;
  /** Transmissions of one packet, with the same bytes. */
  readonly attempts?: number | undefined;
  readonly sendsMessageAuthenticator?: boolean | undefined;
  /** require-message-auth=yes-for-request-resp: replies to Access-Requests without it are bad replies. */
  readonly requiresMessageAuthenticator?: boolean | undefined;
  /** /ppp aaa interim-update; 0 takes Acct-Interim-Interval from the Access-Accept. */
  readonly interimSeconds?: number | undefined;
  readonly pools?: Readonly<Record<string, Range>> | undefined;
  /** Known profiles; `default` applies to every session. A name that is not here is taken as a profile without settings. */
  readonly profiles?: Readonly<Record<string, Profile>> | undefined;
  /** How long an unanswered Start or Stop is tried again, with a growing Acct-Delay-Time. */
  readonly accountingGiveUpSeconds?: number | undefined;
  /** CoA with an Event-Timestamp further away than this is dropped (RFC 5176 section 6.3). */
  readonly replayWindowSeconds?: number | undefined;
  /** How far its clock is off. */
  readonly clockSkewSeconds?: number | undefined;
  /** Rate of a session without a queue. */
  readonly portBps?: number | undefined;
  /** Told of every accounting packet of a session that the server has acknowledged. */
  readonly onAccounted?: ((attributes: Attributes) => void) | undefined;
}

export type RouterSettings = {
  readonly [K in keyof RouterOptions]-?: Exclude<RouterOptions[K], undefined>;
};

/** A router that nobody configured much, as most are. */
export function settingsOf(options: RouterOptions): RouterSettings {
  return {
    name: options.name,
    address: options.address,
    secret: options.secret,
    authServer: options.authServer,
    acctServer: options.acctServer,
    coaPort: options.coaPort ?? 3799,
    dynamicClients: options.dynamicClients ?? [options.authServer.address, options.acctServer.address],
    identity: options.identity ?? options.name,
    claimedAddress: options.claimedAddress ?? '192.168.88.1',
    serviceName: options.serviceName ?? 'pppoe',
    interfaceName: options.interfaceName ?? 'ether2',
    timeoutMs: options.timeoutMs ?? 1100,
    attempts: options.attempts ?? 3,
    sendsMessageAuthenticator: options.sendsMessageAuthenticator ?? true,
    requiresMessageAuthenticator: options.requiresMessageAuthenticator ?? true,
    interimSeconds: options.interimSeconds ?? 0,
    pools: options.pools ?? {},
    profiles: options.profiles ?? {},
    accountingGiveUpSeconds: options.accountingGiveUpSeconds ?? 60,
    replayWindowSeconds: options.replayWindowSeconds ?? 300,
    clockSkewSeconds: options.clockSkewSeconds ?? 0,
    portBps: options.portBps ?? 100_000_000,
    onAccounted: options.onAccounted ?? (() => undefined),
  };
}
