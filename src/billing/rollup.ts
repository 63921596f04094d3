import type { CommandContext } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { firstPostedAt, lastSealed, sealDay } from '../db/rollups.ts';
import { readSettings } from '../db/settings.ts';
import { addDays, type Day, dayIn, startOfDay } from '../domain/day.ts';

/** A day is over for the ledger an hour after midnight: by then no transaction of that day is still running. */
const marginMs = 3_600_000;

/**
 * Seals the finished days of the ledger: sums the house accounts once a day, so that their balance is read from a few
 * rows and not from every posting there ever was. Run again, it goes on where it was; a day without postings is sealed
 * too. Days are the operator's. Gives the days that it sealed.
 */
export async function sealLedger(ctx: CommandContext): Promise<Day[]> {
  const now = ctx.clock.now();
  const { zone } = await readSettings(ctx.db);
  const sealed: Day[] = [];
  for (;;) {
    const window = await nextWindow(ctx, zone);
    if (window === undefined || window.untilAt.getTime() + marginMs > now.getTime()) return sealed;
    await inTransaction(ctx.db, (trx) => sealDay(trx, { ...window, sealedAt: now }));
    sealed.push(window.day);
  }
}

/** From the end of what is sealed, also when the zone has changed since: no instant is summed twice or left out. */
async function nextWindow(
  ctx: CommandContext,
  zone: string,
): Promise<{ day: Day; fromAt: Date; untilAt: Date } | undefined> {
  const last = await lastSealed(ctx.db);
  if (last !== undefined) {
    const inZone = dayIn(zone, last.untilAt);
    const day = inZone > last.day ? inZone : addDays(last.day, 1);
    return { day, fromAt: last.untilAt, untilAt: startOfDay(addDays(day, 1), zone) };
  }
  const first = await firstPostedAt(ctx.db);
  if (first === undefined) return undefined;
  const day = dayIn(zone, first);
  return { day, fromAt: startOfDay(day, zone), untilAt: startOfDay(addDays(day, 1), zone) };
}
