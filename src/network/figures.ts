import type { CommandContext } from '../command.ts';
import {
  collectedByDay,
  countAccessChanges,
  countFull,
  countLessThanFull,
  type Counted,
  countPackets,
  countRejects,
  countRouterRejects,
  countRouterStarts,
  countStanding,
  countStarts,
  newestId,
  owedByAge,
} from '../db/figure-sources.ts';
import {
  type Figure,
  figureBefore,
  figuresSince,
  forgetFigures,
  latestFigures,
  readFigures,
  wholeInstallation,
  writeFigures,
} from '../db/figures.ts';
import { houseBalances, houseFigure, isMuchUnsealed } from '../db/rollups.ts';
import { readSettings } from '../db/settings.ts';
import { addDays, dayIn, parseDay } from '../domain/day.ts';
import { owedAges, owedKind, rejectReasonOf } from '../domain/figure-kinds.ts';

const minuteMs = 60_000;
const stepMs = 5 * minuteMs;
/** The first time, and after a pause of the scheduler, so much is counted at most. */
const catchUpMs = 6 * 60 * minuteMs;
const keptDays = 8;
/** Where nobody has noted yet how far the tables had come, so many of their newest rows are looked at. */
const firstLook = 50_000n;
const collectedDays = 35;

/**
 * Fills the small sums that charts are drawn from: what stands now, and what happened since the last five full minutes
 * or the last time. Counted again it gives the same, so a missed or doubled tick changes nothing. Gives how many
 * figures were written.
 */
export async function fillFigures(ctx: CommandContext): Promise<number> {
  const now = ctx.clock.now();
  const minute = floor(now, minuteMs);
  const last = await figureBefore(ctx.db, 'online', minute);
  const from = beginningOf(minute, last?.at);
  const marks = {
    radacct: await markBefore(ctx, 'radacct', from),
    enforcement: await markBefore(ctx, 'enforcement', from),
  };
  // Noted before counting: rows that come meanwhile lie after the mark and are counted next time.
  const newest = {
    radacct: await newestId(ctx.db, 'radacct'),
    enforcement: await newestId(ctx.db, 'enforcement'),
  };
  const happened = await whatHappened(ctx, from, marks);
  const figures = [
    ...(await whatStands(ctx, minute)),
    ...withZeros(happened, from, minute),
    ...figuresOf('mark.radacct', [{ at: minute, key: '', count: newest.radacct }]),
    ...figuresOf('mark.enforcement', [{ at: minute, key: '', count: newest.enforcement }]),
    ...routerFigures('router.starts', await countRouterStarts(ctx.db, marks.radacct, from)),
    ...routerFigures('router.rejects', await countRouterRejects(ctx.db, from)),
    ...(await recentCollections(ctx, now)),
    ...(await moneyNow(ctx, minute)),
  ];
  await writeFigures(ctx.db, figures);
  return figures.length;
}

/** Once a day: takings of the last weeks again, since payments are reversed later, and old minutes taken out. */
export async function tidyFigures(ctx: CommandContext): Promise<number> {
  const now = ctx.clock.now();
  await writeFigures(ctx.db, await collections(ctx, now, collectedDays));
  return forgetFigures(ctx.db, new Date(now.getTime() - keptDays * 24 * 60 * minuteMs), ['collected']);
}

/** Five minutes back at least, on a step of five minutes, since routers are counted by those. */
function beginningOf(minute: Date, last: Date | undefined): Date {
  const usual = floor(minute, stepMs).getTime() - stepMs;
  const wanted = last === undefined ? 0 : Math.min(usual, floor(last, stepMs).getTime());
  return new Date(Math.max(wanted, floor(minute, stepMs).getTime() - catchUpMs));
}

/** An id before which no row can be of `from` or later: how far the table had come a minute before. */
async function markBefore(
  ctx: CommandContext,
  table: 'radacct' | 'enforcement',
  from: Date,
): Promise<bigint> {
  const before = new Date(from.getTime() - minuteMs);
  const mark = await figureBefore(ctx.db, `mark.${table}`, before);
  if (mark !== undefined) return mark.value;
  const newest = await newestId(ctx.db, table);
  return newest > firstLook ? newest - firstLook : 0n;
}

async function whatStands(ctx: CommandContext, minute: Date): Promise<Figure[]> {
  const { zone } = await readSettings(ctx.db);
  const standing = await countStanding(ctx.db, dayIn(zone, minute), null);
  const less = await countLessThanFull(ctx.db);
  const kinds = {
    'sessions.throttled': less.get('throttled') ?? 0,
    'sessions.walled_garden': less.get('walled_garden') ?? 0,
    'sessions.denied': less.get('denied') ?? 0,
    full: await countFull(ctx.db),
    online: standing.online,
    overdue: standing.overdue,
    throttled: standing.throttled,
    walled_garden: standing.walledGarden,
    blocked_now: standing.blocked,
  };
  return Object.entries(kinds).flatMap(([kind, count]) =>
    figuresOf(kind, [{ at: minute, key: '', count: BigInt(count) }]),
  );
}

async function whatHappened(
  ctx: CommandContext,
  from: Date,
  marks: { radacct: bigint; enforcement: bigint },
): Promise<Figure[]> {
  const rejects = await countRejects(ctx.db, from);
  const changes = await countAccessChanges(ctx.db, from);
  const packets = await countPackets(ctx.db, marks.enforcement, from);
  // A packet that was pending has its outcome by now: what was counted before and is gone is a zero.
  const before = await figuresSince(ctx.db, 'packet.', from);
  return summed([
    ...before.map((figure) => ({ ...figure, value: 0n })),
    ...figuresOf('starts', await countStarts(ctx.db, marks.radacct, from)),
    ...figuresOf('rejects', rejects),
    ...rejects.flatMap((one) => figuresOf(`reject.${rejectReasonOf(one.key)}`, [one])),
    ...changes.flatMap((one) => figuresOf(one.key, [one])),
    ...packets.flatMap((one) => figuresOf(`packet.${one.key}`, [one])),
  ]);
}

async function recentCollections(ctx: CommandContext, now: Date): Promise<Figure[]> {
  const oldest = parseDay(now.toISOString().slice(0, 10));
  const known = await readFigures(ctx.db, ['collected'], dayAt(addDays(oldest, -collectedDays)));
  // The first time all of the last weeks, then today and yesterday; tidyFigures() does the rest.
  return collections(ctx, now, (known.get('collected')?.length ?? 0) === 0 ? collectedDays : 1);
}

/**
 * What is owed by age, and what the house accounts hold where a page could not sum that at each look: every five
 * minutes, since both read all that is open.
 */
async function moneyNow(ctx: CommandContext, minute: Date): Promise<Figure[]> {
  const last = await latestFigures(ctx.db, [owedKind('current')], new Date(minute.getTime() - stepMs + 1));
  if (last.size > 0) return [];
  const { zone } = await readSettings(ctx.db);
  const owed = await owedByAge(ctx.db, dayIn(zone, minute));
  const house = (await isMuchUnsealed(ctx.db)) ? await houseBalances(ctx.db) : [];
  return [
    ...owedAges.map((age) => ({ kind: owedKind(age), value: owed.get(age) ?? 0n })),
    ...house.map((one) => ({ kind: houseFigure(one.accountId), value: one.balanceMinor })),
  ].map((one) => ({ ...one, subject: wholeInstallation, at: minute }));
}

async function collections(ctx: CommandContext, now: Date, daysBack: number): Promise<Figure[]> {
  const { zone } = await readSettings(ctx.db);
  const today = dayIn(zone, now);
  const found = new Map(
    (await collectedByDay(ctx.db, addDays(today, -daysBack))).map((row) => [row.day, row.minor]),
  );
  return Array.from({ length: daysBack + 1 }, (_, index) => {
    const day = addDays(today, index - daysBack);
    return { kind: 'collected', subject: wholeInstallation, at: dayAt(day), value: found.get(day) ?? 0n };
  });
}

/** A day as the instant that stands for it among the figures. */
function dayAt(day: string): Date {
  return new Date(`${day}T00:00:00Z`);
}

function figuresOf(kind: string, counts: readonly Counted[]): Figure[] {
  return counts.map((one) => ({ kind, subject: wholeInstallation, at: one.at, value: one.count }));
}

function routerFigures(kind: string, counts: readonly Counted[]): Figure[] {
  return counts.map((one) => ({ kind, subject: one.key, at: one.at, value: one.count }));
}

/** Rejects of several reasons are one figure of their minute. */
function summed(figures: readonly Figure[]): Figure[] {
  const sums = new Map<string, Figure>();
  for (const figure of figures) {
    const key = `${figure.kind} ${figure.at.getTime()}`;
    const before = sums.get(key);
    sums.set(key, before === undefined ? figure : { ...figure, value: before.value + figure.value });
  }
  return [...sums.values()];
}

/** A minute in which nothing happened is a zero in the chart and not a gap. */
function withZeros(figures: readonly Figure[], from: Date, minute: Date): Figure[] {
  const known = new Set(figures.map((figure) => `${figure.kind} ${figure.at.getTime()}`));
  const zeros: Figure[] = [];
  for (const kind of ['starts', 'rejects', 'blocked', 'restored']) {
    for (let at = from.getTime(); at <= minute.getTime(); at += minuteMs) {
      if (known.has(`${kind} ${at}`)) continue;
      zeros.push({ kind, subject: wholeInstallation, at: new Date(at), value: 0n });
    }
  }
  return [...figures, ...zeros];
}

function floor(at: Date, ms: number): Date {
  return new Date(Math.floor(at.getTime() / ms) * ms);
}

/** The newest sample of what stands, for whoever cannot count it at each request. */
export async function sampledStanding(ctx: Pick<CommandContext, 'db' | 'clock'>, maxAgeMs: number) {
  const notBefore = new Date(ctx.clock.now().getTime() - maxAgeMs);
  return latestFigures(ctx.db, ['online', 'overdue', 'throttled', 'walled_garden', 'blocked_now'], notBefore);
}
