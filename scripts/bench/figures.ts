/** How measurements are summed up and shown. */

/** The value that this share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A line of a markdown table. */
export function tableLine(cells: readonly (string | number)[]): string {
  return `| ${cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(1) : cell)).join(' | ')} |`;
}

export function tableHead(cells: readonly string[]): string {
  return `${tableLine(cells)}\n${tableLine(cells.map(() => '---'))}`;
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What goes on, for whoever watches: kept apart from the results. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function secondsSince(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
}
