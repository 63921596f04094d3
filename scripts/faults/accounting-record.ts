import type { Attributes } from '../lab/codec.ts';
import { bytesOf, numberOf, textOf } from '../lab/codec.ts';
import { acctStatus } from '../lab/dictionary.ts';

/** What the accounting server has told a router that it received, of one session. */
export interface Acknowledged {
  readonly router: string;
  readonly username: string;
  readonly sessionId: string;
  readonly class: string;
  hasStart: boolean;
  hasStop: boolean;
  inputOctets: bigint;
  outputOctets: bigint;
}

/** Everything that was acknowledged: what has to be in radacct, whatever happened meanwhile. */
export class AccountingRecord {
  readonly #sessions = new Map<string, Acknowledged>();
  packets = 0;

  note(router: string, attributes: Attributes): void {
    const sessionId = textOf(attributes, 'Acct-Session-Id') ?? '';
    const nonce = bytesOf(attributes, 'Class')?.toString('latin1') ?? '';
    if (nonce === '') return;
    this.packets++;
    const key = `${router}/${sessionId}/${nonce}`;
    const known = this.#sessions.get(key) ?? {
      router,
      username: textOf(attributes, 'User-Name') ?? '',
      sessionId,
      class: nonce,
      hasStart: false,
      hasStop: false,
      inputOctets: 0n,
      outputOctets: 0n,
    };
    const status = numberOf(attributes, 'Acct-Status-Type');
    if (status === acctStatus.Start) known.hasStart = true;
    if (status === acctStatus.Stop) known.hasStop = true;
    known.inputOctets = most(known.inputOctets, octets(attributes, 'Input'));
    known.outputOctets = most(known.outputOctets, octets(attributes, 'Output'));
    this.#sessions.set(key, known);
  }

  /** As it is now: what is acknowledged later is not in it. */
  all(): Acknowledged[] {
    return [...this.#sessions.values()].map((one) => ({ ...one }));
  }
}

function octets(attributes: Attributes, direction: 'Input' | 'Output'): bigint {
  const low = BigInt(numberOf(attributes, `Acct-${direction}-Octets`) ?? 0);
  return (BigInt(numberOf(attributes, `Acct-${direction}-Gigawords`) ?? 0) << 32n) + low;
}

function most(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
