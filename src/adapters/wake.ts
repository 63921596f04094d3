import { createHmac, timingSafeEqual } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';

export interface WakeAddress {
  address: string;
  port: number;
}

/** Our own format: "SLW1", the sender's clock in ms (8 bytes), HMAC-SHA256 of both. It carries no data. */
const magic = Buffer.from('SLW1');
const length = magic.length + 8 + 32;
/** Hosts' clocks may differ; a replayed wake-up costs one look at the queue, so the window is only a fence. */
const windowMs = 60_000;

export function encodeWake(key: Buffer, now: Date): Buffer {
  const head = Buffer.alloc(magic.length + 8);
  magic.copy(head);
  head.writeBigUInt64BE(BigInt(now.getTime()), magic.length);
  return Buffer.concat([head, createHmac('sha256', key).update(head).digest()]);
}

/** Whether the datagram is a wake-up made with our key within the last minute. */
export function isWake(key: Buffer, datagram: Buffer, now: Date): boolean {
  if (datagram.length !== length || !datagram.subarray(0, magic.length).equals(magic)) return false;
  const head = datagram.subarray(0, magic.length + 8);
  const wanted = createHmac('sha256', key).update(head).digest();
  if (!timingSafeEqual(wanted, datagram.subarray(head.length))) return false;
  const sentAt = Number(head.readBigUInt64BE(magic.length));
  return Math.abs(now.getTime() - sentAt) <= windowMs;
}

export interface WakeListener {
  port: number;
  /** Calls back on every wake-up; the caller may be woken more often than there is work. */
  onWake(listener: () => void): void;
  close(): Promise<void>;
}

/** Binds the address that other processes find in the heartbeat table. Rejects when it cannot be bound. */
export async function listenForWake(options: {
  address: string;
  port: number;
  key: Buffer;
  now: () => Date;
}): Promise<WakeListener> {
  const socket = socketFor(options.address);
  const listeners: (() => void)[] = [];
  socket.on('message', (datagram) => {
    if (isWake(options.key, datagram, options.now())) for (const listener of listeners) listener();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(options.port, options.address, resolve);
  });
  socket.on('error', () => undefined);
  return {
    port: socket.address().port,
    onWake: (listener) => {
      listeners.push(listener);
    },
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

export interface WakeSender {
  send(to: readonly WakeAddress[], now: Date): void;
  close(): void;
}

/** Sends and forgets: a lost datagram costs the poll interval, nothing else. */
export function createWakeSender(key: Buffer): WakeSender {
  const sockets = new Map<string, Socket>();
  const socketTo = (address: string) => {
    const family = address.includes(':') ? 'udp6' : 'udp4';
    const known = sockets.get(family);
    if (known !== undefined) return known;
    const socket = socketFor(address);
    socket.on('error', () => undefined);
    socket.unref();
    sockets.set(family, socket);
    return socket;
  };
  return {
    send(to, now) {
      const datagram = encodeWake(key, now);
      for (const { address, port } of to) socketTo(address).send(datagram, port, address, () => undefined);
    },
    close() {
      for (const socket of sockets.values()) socket.close();
      sockets.clear();
    },
  };
}

function socketFor(address: string): Socket {
  return createSocket(address.includes(':') ? 'udp6' : 'udp4');
}
