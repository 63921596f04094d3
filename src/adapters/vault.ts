import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

/** Seals login and router secrets for the database; the key stays outside of it. */
export interface Vault {
  /** `place` is table.column:id or another stable name; a sealed text moved elsewhere does not open. */
  seal(place: string, clear: string): Buffer;
  open(place: string, sealed: Buffer): string;
  /** A key derived for one purpose, such as wake-up datagrams. */
  derive(purpose: string): Buffer;
}

const nonceBytes = 12;
const tagBytes = 16;

/** AES-256-GCM (NIST SP 800-38D), 96-bit random nonce; sealed = idLength, id, nonce, tag, ciphertext. */
export function createVault(keys: readonly { id: string; key: Buffer }[]): Vault {
  const newest = keys[0];
  if (newest === undefined) throw new RangeError('a vault needs at least one key');
  return {
    seal(place, clear) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', newest.key, nonce);
      cipher.setAAD(Buffer.from(place));
      const text = Buffer.concat([cipher.update(clear, 'utf8'), cipher.final()]);
      const id = Buffer.from(newest.id, 'ascii');
      return Buffer.concat([Buffer.from([id.length]), id, nonce, cipher.getAuthTag(), text]);
    },
    open(place, sealed) {
      const idLength = sealed[0] ?? 0;
      const id = sealed.subarray(1, 1 + idLength).toString('ascii');
      const found = keys.find((candidate) => candidate.id === id);
      if (found === undefined) throw new Error(`sealed with a key that is not configured: ${id}`);
      const body = sealed.subarray(1 + idLength);
      const decipher = createDecipheriv('aes-256-gcm', found.key, body.subarray(0, nonceBytes));
      decipher.setAAD(Buffer.from(place));
      decipher.setAuthTag(body.subarray(nonceBytes, nonceBytes + tagBytes));
      const text = body.subarray(nonceBytes + tagBytes);
      return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
    },
    derive(purpose) {
      return createHmac('sha256', newest.key).update(`sluice:${purpose}`).digest();
    },
  };
}
