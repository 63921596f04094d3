import { countRouterStates } from '../db/attention-list.ts';
import { countStanding } from '../db/figure-sources.ts';
import { latestFigures, type Point, readFigures, sumFigures } from '../db/figures.ts';
import { restoresSince } from '../db/restores.ts';
import { dayIn, startOfDay } from '../domain/day.ts';
import { type OwedAge, owedAges, owedKind } from '../domain/figure-kinds.ts';
import { formatMinor } from '../domain/money.ts';
import { restoreTimes } from '../domain/restore-time.ts';
import { attentionCounts } from './attention-view.ts';
import { countMax } from './list.ts';
import type { Page } from './page.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
/** Restores whose time is looked up one by one. */
const restoresMost = 200;
/** A sample that is older than this is not shown as what stands now. */
const sampleMaxAgeMs = 10 * minuteMs;

/** The numbers at the top of the dashboard: bounded counts and small sums, since everybody's browser asks every five seconds. */
export async function dashboardFigures(page: Page) {
  const { db } = page.app;
  const { now, settings } = page;
  const today = dayIn(settings.zone, now);
  const midnight = startOfDay(today, settings.zone);
  const standing = await countStanding(db, today, countMax);
  const samples = await latestFigures(
    db,
    ['online', 'overdue', 'throttled', 'walled_garden', 'blocked_now'],
    new Date(now.getTime() - sampleMaxAgeMs),
  );
  const perMinute = await readFigures(
    db,
    ['starts', 'rejects'],
    new Date(now.getTime() - sampleMaxAgeMs - minuteMs),
  );
  const sums = await sumFigures(db, ['blocked', 'restored'], midnight);
  const restores = await restoresSince(db, midnight, restoresMost);
  const times = restoreTimes(restores);
  const taken = await readFigures(db, ['collected'], new Date(`${today}T00:00:00Z`));
  return {
    online: exactOrSample(standing.online, samples.get('online')),
    overdue: exactOrSample(standing.overdue, samples.get('overdue')),
    throttled: exactOrSample(standing.throttled, samples.get('throttled')),
    walledGarden: exactOrSample(standing.walledGarden, samples.get('walled_garden')),
    blocked: exactOrSample(standing.blocked, samples.get('blocked_now')),
    starts: lastFull(perMinute.get('starts') ?? [], samples.get('online')),
    rejects: lastFull(perMinute.get('rejects') ?? [], samples.get('online')),
    blockedToday: (sums.get('blocked') ?? 0n).toString(),
    // The job counts once a minute; who came back since stands among those that are looked up.
    restoredToday: String(Math.max(Number(sums.get('restored') ?? 0n), restores.length)),
    restore: {
      median: times.medianMs === null ? null : milliseconds(times.medianMs),
      slowest: times.slowestMs === null ? null : milliseconds(times.slowestMs),
      count: times.count,
      waiting: times.waiting,
      isCut: times.count + times.waiting >= restoresMost,
    },
    attention: await attentionCounts(page.app),
    routers: await countRouterStates(db),
    collected: page.may('payment.view') ? (taken.get('collected')?.at(-1)?.value.toString() ?? '0') : null,
    hasFigures: samples.size > 0,
    now,
  };
}

/** What was counted to its end is exact; a bigger number is the last minute's sample, and without one "more than". */
function exactOrSample(count: number, sample: Point | undefined) {
  if (count <= countMax) return { value: String(count), isMore: false, at: null };
  if (sample !== undefined) return { value: sample.value.toString(), isMore: false, at: sample.at };
  return { value: String(countMax), isMore: true, at: null };
}

/** The last minute that was counted whole: the one before the last count. */
function lastFull(points: readonly Point[], counted: Point | undefined) {
  const point = counted === undefined ? undefined : points.findLast((one) => one.at < counted.at);
  return point === undefined ? null : { value: point.value.toString(), at: point.at };
}

export interface ChartView {
  readonly id: string;
  readonly title: string;
  readonly note: string;
  readonly chart: {
    x: number[];
    series: { label: string; values: number[] }[];
    unit: string;
    zone: string;
  };
  /** The same numbers as a table, the newest first. */
  readonly columns: readonly string[];
  readonly rows: readonly { at: string; values: readonly string[] }[];
}

/** The dashboard's charts, from the small sums. */
export async function dashboardCharts(page: Page): Promise<ChartView[]> {
  const { db } = page.app;
  const { now, settings } = page;
  const day = await readFigures(db, ['online'], new Date(now.getTime() - dayMs));
  const hours = await readFigures(db, ['starts', 'rejects'], new Date(now.getTime() - 3 * hourMs));
  const month = page.may('payment.view')
    ? await readFigures(db, ['collected'], new Date(now.getTime() - 30 * dayMs))
    : new Map<string, Point[]>();
  const clock = clockIn(settings.zone);
  const counted = day.get('online')?.at(-1)?.at ?? now;
  const full = (points: readonly Point[] | undefined) => (points ?? []).filter((point) => point.at < counted);
  return [
    chartOf({
      id: 'chart-online',
      title: 'Online, the last 24 hours',
      note: 'Open sessions, every five minutes.',
      unit: 'sessions',
      series: [{ label: 'Online', points: everyFifth(day.get('online') ?? []) }],
      zone: settings.zone,
      stamp: clock,
    }),
    chartOf({
      id: 'chart-logins',
      title: 'Sessions started and logins refused, the last 3 hours',
      note: 'Per minute. FreeRADIUS writes down no accepted login, so what is counted is the session that follows it; a username that is refused for one reason counts once a minute.',
      unit: 'per minute',
      series: [
        { label: 'Sessions started', points: full(hours.get('starts')) },
        { label: 'Logins refused', points: full(hours.get('rejects')) },
      ],
      zone: settings.zone,
      stamp: clock,
    }),
    ...(page.may('payment.view')
      ? [
          chartOf({
            id: 'chart-collected',
            title: 'Collections per day, the last 30 days',
            note: `Payments by the day on which they were received, in ${settings.currency}, without what was reversed.`,
            unit: settings.currency,
            series: [{ label: 'Collected', points: month.get('collected') ?? [] }],
            zone: 'UTC',
            stamp: (at) => at.toISOString().slice(0, 10),
            scale: settings.exponent,
          }),
        ]
      : []),
  ];
}

const ageWords: Record<OwedAge, string> = {
  current: 'Not due yet',
  '1_30': 'Past due 1 to 30 days',
  '31_60': '31 to 60 days',
  '61_90': '61 to 90 days',
  older: 'More than 90 days',
};

/** What is owed by age, as the job counted it last; null where nobody may see it, or nothing was counted. */
export async function owedByAgePart(page: Page) {
  if (!page.may('invoice.view')) return null;
  const notBefore = new Date(page.now.getTime() - 2 * sampleMaxAgeMs);
  const found = await latestFigures(page.app.db, owedAges.map(owedKind), notBefore);
  if (found.size === 0) return null;
  const rows = owedAges.map((age) => ({
    word: ageWords[age],
    minor: found.get(owedKind(age))?.value ?? 0n,
    isLate: age !== 'current',
  }));
  const total = rows.reduce((sum, row) => sum + row.minor, 0n);
  return {
    total,
    countedAt: found.get(owedKind('current'))?.at ?? null,
    rows: rows.map((row) => ({ ...row, percent: total === 0n ? 0 : Number((row.minor * 100n) / total) })),
  };
}

/** The last sample of each five minutes: a count that came late leaves no gap. */
function everyFifth(points: readonly Point[]): Point[] {
  const step = (point: Point) => Math.floor(point.at.getTime() / (5 * minuteMs));
  return points.filter((point, index) => {
    const next = points[index + 1];
    return next === undefined || step(next) !== step(point);
  });
}

/** Series on one axis of time, and their table. `scale`: values are minor units of that many digits. */
export function chartOf(given: {
  id: string;
  title: string;
  note: string;
  unit: string;
  series: readonly { label: string; points: readonly Point[] }[];
  zone: string;
  stamp: (at: Date) => string;
  scale?: number;
}): ChartView {
  const instants = [
    ...new Set(given.series.flatMap((one) => one.points.map((point) => point.at.getTime()))),
  ].sort((a, b) => a - b);
  const maps = given.series.map(
    (one) => new Map(one.points.map((point) => [point.at.getTime(), point.value])),
  );
  const shown = (value: bigint) =>
    given.scale === undefined ? value.toString() : formatMinor(value, given.scale);
  return {
    id: given.id,
    title: given.title,
    note: given.note,
    chart: {
      x: instants.map((at) => at / 1000),
      series: given.series.map((one, index) => ({
        label: one.label,
        values: instants.map((at) => Number(shown(maps[index]?.get(at) ?? 0n))),
      })),
      unit: given.unit,
      zone: given.zone,
    },
    columns: given.series.map((one) => one.label),
    rows: instants
      .map((at) => ({
        at: given.stamp(new Date(at)),
        values: maps.map((values) => shown(values.get(at) ?? 0n)),
      }))
      .reverse(),
  };
}

/** `14:05` in the operator's zone. */
export function clockIn(zone: string): (at: Date) => string {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit' });
  return (at) => format.format(at);
}

/** `840 ms`, `3.2 s`, `4 min 10 s`. */
export function milliseconds(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Math.round(ms / 100) / 10} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 3600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
