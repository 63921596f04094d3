import { createHmac, timingSafeEqual } from 'node:crypto';

const stepSeconds = 30;
const digits = 6;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * The step whose code this is, or null: RFC 6238 with SHA-1, six digits, 30 seconds, one step early or late. The caller
 * keeps the step and refuses one that is not later than the last, so that a code is good once.
 */
export function matchingStep(secret: Buffer, code: string, now: Date): number | null {
  if (!/^\d{6}$/.test(code)) return null;
  const current = Math.floor(now.getTime() / 1000 / stepSeconds);
  for (const step of [current, current - 1, current + 1]) {
    if (timingSafeEqual(Buffer.from(codeAt(secret, step)), Buffer.from(code))) return step;
  }
  return null;
}

/** The code of a step (RFC 4226, dynamic truncation). */
export function codeAt(secret: Buffer, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const offset = (mac[mac.length - 1] ?? 0) & 15;
  const number = mac.readUInt32BE(offset) & 0x7fffffff;
  return String(number % 10 ** digits).padStart(digits, '0');
}

/** RFC 4648 base 32 without padding, as authenticator programs read it. */
export function toBase32(bytes: Buffer): string {
  let bits = 0;
  let held = 0;
  let text = '';
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(held >> bits) & 31] ?? '';
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + (alphabet[(held << (5 - bits)) & 31] ?? '');
}

/** What the QR code of an authenticator program holds. */
export function otpauthUri(label: { issuer: string; account: string }, secret: Buffer): string {
  const name = `${encodeURIComponent(label.issuer)}:${encodeURIComponent(label.account)}`;
  return `otpauth://totp/${name}?secret=${toBase32(secret)}&issuer=${encodeURIComponent(label.issuer)}`;
}
