/** First and last address of a range, both included. */
export type Range = readonly [string, string];

/** The address pools of one router: each address is given to one session at a time, the lowest free one first. */
export class Pools {
  private readonly ranges = new Map<string, Range>();
  private readonly used = new Map<string, number>();

  constructor(ranges: Readonly<Record<string, Range>>) {
    for (const [name, range] of Object.entries(ranges)) this.set(name, range);
  }

  set(name: string, range: Range): void {
    if (toNumber(range[0]) > toNumber(range[1]))
      throw new RangeError(`pools.${name}: the first is above the last`);
    this.ranges.set(name, range);
  }

  names(): string[] {
    return [...this.ranges.keys()];
  }

  /** An address, or why there is none: RouterOS refuses the dial with "could not determine remote address". */
  take(name: string): { address: string } | { why: 'no_such_pool' | 'pool_is_full' } {
    const range = this.ranges.get(name);
    if (range === undefined) return { why: 'no_such_pool' };
    for (let at = toNumber(range[0]); at <= toNumber(range[1]); at++) {
      const address = toText(at);
      if (!this.used.has(address)) {
        this.hold(address);
        return { address };
      }
    }
    return { why: 'pool_is_full' };
  }

  /** A static address; RouterOS does not guard against two sessions with the same one. */
  hold(address: string): void {
    this.used.set(address, (this.used.get(address) ?? 0) + 1);
  }

  release(address: string): void {
    const count = (this.used.get(address) ?? 0) - 1;
    if (count > 0) this.used.set(address, count);
    else this.used.delete(address);
  }

  releaseAll(): void {
    this.used.clear();
  }
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toText(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
