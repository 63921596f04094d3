import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Vault } from '../adapters/vault.ts';

/**
 * Proves that whoever makes the first account in a browser can run commands on this machine. Derived from the vault's
 * key, so that every process has the same one and none has to keep it.
 */
export function setupCode(vault: Vault): string {
  const mac = createHmac('sha256', vault.derive('first-run')).update('owner').digest('hex');
  return `${mac.slice(0, 5)}-${mac.slice(5, 10)}-${mac.slice(10, 15)}`;
}

export function isSetupCode(vault: Vault, text: string): boolean {
  const [wanted, given] = [Buffer.from(setupCode(vault)), Buffer.from(text.trim())];
  return wanted.length === given.length && timingSafeEqual(wanted, given);
}
