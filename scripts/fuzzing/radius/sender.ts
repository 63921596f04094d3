import { createHash } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { readFileSync } from 'node:fs';

interface Waiting {
  readonly authenticator: Buffer;
  readonly answered: (code: number) => void;
}

/** One router's sockets: each carries 256 packets at once, told apart by their identifier. */
export class Sender {
  readonly #sockets: Socket[];
  readonly #secret: string;
  readonly #waiting = new Map<string, Waiting>();

  private constructor(sockets: Socket[], secret: string) {
    this.#sockets = sockets;
    this.#secret = secret;
    for (const [index, socket] of sockets.entries()) {
      socket.on('message', (bytes) => this.#receive(index, bytes));
      socket.on('error', () => undefined);
    }
  }

  static async open(address: string, secret: string, count: number): Promise<Sender> {
    const sockets = await Promise.all(Array.from({ length: count }, () => openSocket(address)));
    return new Sender(sockets, secret);
  }

  /** Sends and goes on; `answered` is called with the code of an answer that proves itself. */
  send(number: number, bytes: Buffer, port: number, answered: (code: number) => void): void {
    const index = Math.floor(number / 256) % this.#sockets.length;
    const socket = this.#sockets[index];
    if (bytes.length >= 20) {
      this.#waiting.set(`${index}/${bytes[1] ?? 0}`, { authenticator: bytes.subarray(4, 20), answered });
    }
    socket?.send(bytes, port, '127.0.0.1', () => undefined);
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  #receive(index: number, bytes: Buffer): void {
    const key = `${index}/${bytes[1] ?? 0}`;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined || bytes.length < 20) return;
    const proof = createHash('md5')
      .update(bytes.subarray(0, 4))
      .update(waiting.authenticator)
      .update(bytes.subarray(20))
      .update(this.#secret)
      .digest();
    if (!proof.equals(bytes.subarray(4, 20))) return;
    this.#waiting.delete(key);
    waiting.answered(bytes[0] ?? 0);
  }
}

function openSocket(address: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, address, () => resolve(socket));
  });
}

/** Packets that the kernel threw away because a server did not read its port in time. */
export function droppedAt(ports: readonly number[]): number {
  const lines = readFileSync('/proc/net/udp', 'utf8').split('\n').slice(1);
  return lines.reduce((sum, line) => {
    const columns = line.trim().split(/\s+/);
    const port = parseInt(columns[1]?.split(':')[1] ?? '', 16);
    return ports.includes(port) ? sum + Number(columns.at(-1)) : sum;
  }, 0);
}
