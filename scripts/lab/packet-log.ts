import type { Attributes, AttributeValue } from './codec.ts';
import { codeName } from './dictionary.ts';

export interface LoggedPacket {
  readonly at: string;
  readonly direction: 'in' | 'out';
  readonly peer: string;
  readonly code: string;
  readonly identifier: number;
  /** What became of it, as a literal: sent, again, answered, dropped_bad_authenticator, … */
  readonly result: string;
  readonly attributes: Readonly<Record<string, string | number>>;
}

interface Kept {
  readonly at: number;
  readonly direction: 'in' | 'out';
  readonly peer: string;
  readonly code: number;
  readonly identifier: number;
  readonly result: string;
  readonly attributes: Attributes;
}

const secretNames = new Set([
  'User-Password',
  'CHAP-Password',
  'CHAP-Challenge',
  'MS-CHAP-Challenge',
  'MS-CHAP2-Response',
  'MS-CHAP2-Success',
  'MS-MPPE-Send-Key',
  'MS-MPPE-Recv-Key',
  'Message-Authenticator',
]);

/** The last packets of a router. They are made readable when somebody looks, not when they pass. */
export class PacketLog {
  private kept: Kept[] = [];
  private readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  add(packet: Omit<Kept, 'at'>): void {
    this.kept.push({ at: Date.now(), ...packet });
    if (this.kept.length >= this.size * 2) this.kept = this.kept.slice(-this.size);
  }

  /** Oldest first, at most `limit`. */
  last(limit = this.size): LoggedPacket[] {
    return this.kept.slice(-Math.min(limit, this.size)).map((packet) => ({
      at: new Date(packet.at).toISOString(),
      direction: packet.direction,
      peer: packet.peer,
      code: codeName(packet.code),
      identifier: packet.identifier,
      result: packet.result,
      attributes: readable(packet.attributes),
    }));
  }
}

function readable(attributes: Attributes): Record<string, string | number> {
  return Object.fromEntries(attributes.map(([name, value]) => [name, shown(name, value)]));
}

function shown(name: string, value: AttributeValue): string | number {
  if (secretNames.has(name)) return 'hidden';
  return Buffer.isBuffer(value) ? printable(value) : value;
}

/** Bytes as text where all of them print, as hex otherwise. */
export function printable(value: Buffer): string {
  const text = value.toString('latin1');
  return /^[\x20-\x7e]*$/.test(text) ? text : `0x${value.toString('hex')}`;
}
