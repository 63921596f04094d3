import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import type { Db } from '../db/knex.ts';
import { newRequestId, type Posting } from '../db/ledger.ts';
import { type OperatorSettings, readSettings } from '../db/settings.ts';
import { type Day, dayIn } from '../domain/day.ts';

/** One call of a money command: its instant, frozen before the transaction, and its name for the ledger. */
export interface Call {
  readonly at: Date;
  readonly requestId: string;
}

export function newCall(ctx: CommandContext): Call {
  return { at: ctx.clock.now(), requestId: newRequestId() };
}

/** What a money transaction is told by the operator's settings: day, zone, currency. */
export interface MoneyDay {
  readonly today: Day;
  readonly settings: OperatorSettings;
  readonly posting: Posting;
}

export async function readMoneyDay(db: Db, ctx: CommandContext, call: Call): Promise<MoneyDay> {
  const settings = await readSettings(db);
  return {
    today: dayIn(settings.zone, call.at),
    settings,
    posting: {
      at: call.at,
      actor: ctx.actor,
      requestId: call.requestId,
      money: { currency: settings.currency, exponent: settings.exponent },
    },
  };
}

/** An id that came from outside. MariaDB would take `5 apples` for 5. */
export function idText(): z.ZodType<string> {
  return z.string({ error: 'must be an id' }).regex(/^[1-9]\d{0,18}$/, 'must be an id');
}
