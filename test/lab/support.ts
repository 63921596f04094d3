import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import {
  type Attributes,
  decodePacket,
  encodePacket,
  type Packet,
  sealReply,
} from '../../scripts/lab/codec.ts';
import type { LabRouter } from '../../scripts/lab/router.ts';
import type { DialRequest, SessionView } from '../../scripts/lab/session.ts';

/** Dials and gives the session; throws where the dial fails. */
export async function dialed(router: LabRouter, request: DialRequest): Promise<SessionView> {
  const outcome = await router.dial(request);
  if (!outcome.ok) throw new Error(`the dial of ${request.username} failed: ${JSON.stringify(outcome)}`);
  return outcome.session;
}

export interface RadclientAnswer {
  /** ACK, NAK or silence, as radclient read it. */
  readonly kind: 'ack' | 'nak' | 'silence';
  readonly errorCause: string | undefined;
  readonly text: string;
}

/** Sends a CoA- or Disconnect-Request by FreeRADIUS's own client; the reply is checked by it. */
export function radclient(
  router: LabRouter,
  kind: 'coa' | 'disconnect',
  secret: string,
  attributes: readonly string[],
  options: { retries?: number; timeoutSeconds?: number } = {},
): Promise<RadclientAnswer> {
  const target = `${router.address}:${router.coaPort}`;
  const args = [
    '-x',
    '-r',
    String(options.retries ?? 1),
    '-t',
    String(options.timeoutSeconds ?? 1),
    target,
    kind,
  ];
  return new Promise((resolve) => {
    // The exit code says nothing: it is 1 for a NAK and for silence alike.
    const child = execFile('radclient', [...args, secret], (_error, stdout, stderr) => {
      const text = `${stdout}\n${stderr}`;
      const isAck = /Received (CoA|Disconnect)-ACK/.test(text);
      const isNak = /Received (CoA|Disconnect)-NAK/.test(text);
      const [, errorCause] = /Error-Cause = (\S+)/.exec(text) ?? [];
      resolve({ kind: isAck ? 'ack' : isNak ? 'nak' : 'silence', errorCause, text });
    });
    child.stdin?.end(['Message-Authenticator = 0x00', ...attributes].join(',\n') + '\n');
  });
}

export interface Responder {
  readonly port: number;
  readonly requests: Packet[];
  close(): Promise<void>;
}

/** A server that answers as the test says: for what a real FreeRADIUS does not do. */
export async function responder(
  secret: string,
  answer: (request: Packet, number: number) => { code: number; attributes: Attributes } | undefined,
): Promise<Responder> {
  const socket = createSocket('udp4');
  const requests: Packet[] = [];
  socket.on('message', (bytes, from) => {
    const request = decodePacket(bytes);
    if (request === undefined) return;
    requests.push(request);
    const reply = answer(request, requests.length);
    if (reply === undefined) return;
    const made = encodePacket(reply.code, request.identifier, reply.attributes);
    socket.send(sealReply(made, request.authenticator, secret), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    port: socket.address().port,
    requests,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** The users of the lab's own tests. */
export const users = `
alice Cleartext-Password := "secret-a"
	Framed-Pool = "home",
	Mikrotik-Rate-Limit = "5M/20M 8M/30M 4M/16M 12/12 5 1M/4M",
	Mikrotik-Group = "gold",
	Mikrotik-Address-List = "active",
	Class = "S1.7.0123456789.abcdef0123.n1",
	Acct-Interim-Interval = 1,
	Delegated-IPv6-Prefix = 2001:db8:77::/56,
	Mikrotik-Delegated-IPv6-Pool = "pd",
	Idle-Timeout = 600

bob Cleartext-Password := "pässwörd"
	Framed-IP-Address = 10.99.0.7,
	Mikrotik-Rate-Limit = "2M/8M"

carol Cleartext-Password := "secret-c"
	Framed-Pool = "home"

short Cleartext-Password := "secret-s"
	Framed-Pool = "home",
	Session-Timeout = 1

idle Cleartext-Password := "secret-i"
	Framed-Pool = "home",
	Idle-Timeout = 1

quota Cleartext-Password := "secret-q"
	Framed-Pool = "home",
	Mikrotik-Xmit-Limit = 1000,
	Mikrotik-Xmit-Limit-Gigawords = 1

nopool Cleartext-Password := "secret-n"
	Framed-Pool = "Home"

plain Cleartext-Password := "secret-p"

late Auth-Type := Reject
	Reply-Message = "invoice_overdue"
`;
