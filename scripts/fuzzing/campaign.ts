/** One kind of input that is thrown at Sluice. A case is made from the seed and its number, and from nothing else. */
export interface Campaign {
  readonly name: string;
  run(options: CampaignOptions): Promise<void>;
}

export interface CampaignOptions {
  readonly cases: number;
  readonly seed: string;
  /** The first case; later ones count on from it, so that one case of a long run can be had alone. */
  readonly from: number;
  readonly tally: Tally;
  /** For a few cases: without what takes long to set up, or to wait for. */
  readonly isShort?: boolean;
}

/** What a case broke. */
export interface Finding {
  /** The same for every case that breaks the same thing the same way: it is told once, with how often. */
  readonly rule: string;
  readonly case: number;
  /** What was sent and what came of it, on as many lines as it takes. */
  readonly about: string;
  times: number;
}

/** Counts cases by kind, keeps the first finding of each sort, and says how far the work has come. */
export class Tally {
  readonly kinds = new Map<string, number>();
  readonly findings = new Map<string, Finding>();
  readonly #say: (text: string) => void;
  readonly #wanted: number;
  readonly #startedAt = performance.now();
  #cases = 0;
  #saidAt = performance.now();

  constructor(wanted: number, say: (text: string) => void) {
    this.#wanted = wanted;
    this.#say = say;
  }

  get cases(): number {
    return this.#cases;
  }

  get perSecond(): number {
    return this.#cases / ((performance.now() - this.#startedAt) / 1000);
  }

  count(kind: string, number = 1): void {
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + number);
    this.#cases += number;
    if (performance.now() - this.#saidAt > 2000) this.#progress();
  }

  found(finding: Omit<Finding, 'times'>): void {
    const known = this.findings.get(finding.rule);
    if (known !== undefined) {
      known.times++;
      return;
    }
    this.findings.set(finding.rule, { ...finding, times: 1 });
    this.#say(`case ${finding.case}: ${finding.rule}\n${finding.about}`);
  }

  #progress(): void {
    this.#saidAt = performance.now();
    const memory = Math.round(process.memoryUsage().rss / 2 ** 20);
    this.#say(
      `${grouped(this.#cases)} of ${grouped(this.#wanted)} cases, ${grouped(Math.round(this.perSecond))}/s, ` +
        `${this.findings.size} findings, ${memory} MB`,
    );
  }
}

export function grouped(number: number): string {
  return number.toLocaleString('en-US');
}

/** Runs work on the case numbers, so many at once; each worker takes the next number when it is free. */
export async function atOnce(
  options: CampaignOptions,
  workers: number,
  work: (number: number) => Promise<void>,
): Promise<void> {
  let next = options.from;
  const end = options.from + options.cases;
  const one = async () => {
    while (next < end) await work(next++);
  };
  await Promise.all(Array.from({ length: workers }, one));
}
