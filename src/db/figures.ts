import { chunksOf, type Db, fromSqlInstant, sqlInstant } from './knex.ts';

/** One value of a series: at a minute, or of a day. */
export interface Point {
  readonly at: Date;
  readonly value: bigint;
}

export interface Figure extends Point {
  readonly kind: string;
  /** A router's id; 0 is the whole installation. */
  readonly subject: string;
}

interface Row {
  kind: string;
  subject: string;
  minute: string;
  value: string;
}

export const wholeInstallation = '0';

/** Writes figures, or writes them again: the newest count of a minute is the one that stays. */
export async function writeFigures(db: Db, figures: readonly Figure[]): Promise<void> {
  for (const chunk of chunksOf(figures, 500)) {
    await db('figure_minute')
      .insert(
        chunk.map((figure) => ({
          kind: figure.kind,
          subject: figure.subject,
          minute: sqlInstant(figure.at).slice(0, 19),
          value: figure.value.toString(),
        })),
      )
      .onConflict(['kind', 'subject', 'minute'])
      .merge(['value']);
  }
}

/** Series of several kinds from an instant on, each in the order of time. */
export async function readFigures(
  db: Db,
  kinds: readonly string[],
  from: Date,
  subject: string = wholeInstallation,
): Promise<Map<string, Point[]>> {
  const rows = await db('figure_minute')
    .whereIn('kind', [...kinds])
    .where({ subject })
    .where('minute', '>=', sqlInstant(from))
    .orderBy(['kind', 'minute'])
    .select<Row[]>('kind', 'minute', 'value');
  const series = new Map<string, Point[]>(kinds.map((kind) => [kind, []]));
  for (const row of rows) {
    series.get(row.kind)?.push({ at: fromSqlInstant(row.minute), value: BigInt(row.value) });
  }
  return series;
}

/** The newest value of each kind that is not older than `notBefore`; kinds without one are left out. */
export async function latestFigures(
  db: Db,
  kinds: readonly string[],
  notBefore: Date,
): Promise<Map<string, Point>> {
  const series = await readFigures(db, kinds, notBefore);
  const latest = new Map<string, Point>();
  for (const [kind, points] of series) {
    const last = points.at(-1);
    if (last !== undefined) latest.set(kind, last);
  }
  return latest;
}

/** Sums of several kinds from an instant on; a kind without a value is 0. */
export async function sumFigures(db: Db, kinds: readonly string[], from: Date): Promise<Map<string, bigint>> {
  const rows = await db('figure_minute')
    .whereIn('kind', [...kinds])
    .where({ subject: wholeInstallation })
    .where('minute', '>=', sqlInstant(from))
    .groupBy('kind')
    .select<{ kind: string; total: string }[]>('kind', db.raw('SUM(value) AS total'));
  return new Map([
    ...kinds.map((kind): [string, bigint] => [kind, 0n]),
    ...rows.map((row): [string, bigint] => [row.kind, BigInt(row.total)]),
  ]);
}

/** All values of one minute whose kind begins so. */
export async function figuresAt(
  db: Db,
  prefix: string,
  at: Date,
): Promise<{ kind: string; value: bigint }[]> {
  // A range of the key, since `_` and `%` in a kind would mean something to LIKE.
  const rows = await db('figure_minute')
    .where('kind', '>=', prefix)
    .where('kind', '<', `${prefix}~`)
    .where({ subject: wholeInstallation, minute: sqlInstant(at) })
    .select<Row[]>('kind', 'value');
  return rows.map((row) => ({ kind: row.kind, value: BigInt(row.value) }));
}

/** All figures of the installation from an instant on whose kind begins so. */
export async function figuresSince(db: Db, prefix: string, from: Date): Promise<Figure[]> {
  const rows = await db('figure_minute')
    .where('kind', '>=', prefix)
    .where('kind', '<', `${prefix}~`)
    .where({ subject: wholeInstallation })
    .where('minute', '>=', sqlInstant(from))
    .select<Row[]>('*');
  return rows.map((row) => ({
    kind: row.kind,
    subject: row.subject,
    at: fromSqlInstant(row.minute),
    value: BigInt(row.value),
  }));
}

/** The value of a kind at that minute or the last before it. */
export async function figureBefore(db: Db, kind: string, at: Date): Promise<Point | undefined> {
  const row = await db('figure_minute')
    .where({ kind, subject: wholeInstallation })
    .where('minute', '<=', sqlInstant(at))
    .orderBy('minute', 'desc')
    .first<Row | undefined>('minute', 'value');
  return row === undefined ? undefined : { at: fromSqlInstant(row.minute), value: BigInt(row.value) };
}

/** Takes out what is older, some thousand rows at a time; daily sums (`keptKinds`) stay. Gives how many went. */
export async function forgetFigures(db: Db, before: Date, keptKinds: readonly string[]): Promise<number> {
  let gone = 0;
  for (;;) {
    const some = await db('figure_minute')
      .where('minute', '<', sqlInstant(before))
      .whereNotIn('kind', [...keptKinds])
      .limit(5000)
      .del();
    gone += some;
    if (some < 5000) return gone;
  }
}
