import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction, type Trx } from '../db/knex.ts';
import { wishForManyLogins } from '../db/login-requests.ts';
import { holdRule } from '../db/rules.ts';
import { hasPostings } from '../db/setting-facts.ts';
import { type OperatorSettings, readSettings, saveSettings } from '../db/settings.ts';
import { setNextDue } from '../db/schedule.ts';
import { dayIn } from '../domain/day.ts';
import { nextDue } from '../domain/timetable.ts';
import { invalid } from '../errors.ts';
import { checked, oneOf, parseInput, technicalName } from '../input.ts';
import { rateLimit } from './fields.ts';

const whole = (min: number, max: number) =>
  z
    .string()
    .transform((text) => (/^\d{1,9}$/.test(text) ? Number(text) : Number.NaN))
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`);
const timeOfDay = () =>
  checked('must be a time of day, HH:MM', (text) => {
    if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(text)) throw new RangeError('not a time of day');
    return text;
  });

/** The rule of each setting. Rates are kept in one spelling. */
const rules: { [K in keyof OperatorSettings]: z.ZodType<OperatorSettings[K], string> } = {
  zone: checked('must be an IANA time zone such as Asia/Dhaka', (text) => {
    // The calendar takes an instant too, `2026-01-01T00:00:00Z`, for the zone at its end; what writes times does not.
    new Intl.DateTimeFormat('en', { timeZone: text }).format(0);
    dayIn(text, new Date(0));
    return text;
  }),
  currency: checked('must be three capital letters', (text) => {
    if (!/^[A-Z]{3}$/.test(text)) throw new RangeError('not a currency');
    return text;
  }),
  exponent: oneOf(['0', '2', '3']).transform(Number) as unknown as z.ZodType<number, string>,
  invoiceSeries: technicalName(16) as z.ZodType<string, string>,
  portRate: rateLimit(),
  walledGardenRate: rateLimit(),
  walledGardenList: technicalName(60) as z.ZodType<string, string>,
  deniedRate: rateLimit(),
  deniedList: technicalName(60) as z.ZodType<string, string>,
  fullList: technicalName(60) as z.ZodType<string, string>,
  walledGardenIpv6Pool: technicalName(60) as z.ZodType<string, string>,
  deferralDays: whole(1, 365),
  overdueLimitPermille: whole(1, 1000),
  overdueLimitCount: whole(1, 1_000_000),
  invoiceRunAt: timeOfDay(),
  overdueRunAt: timeOfDay(),
};

/** What reaches routers through every login's rows. */
const reachesLogins: readonly string[] = [
  'portRate',
  'walledGardenRate',
  'walledGardenList',
  'deniedRate',
  'deniedList',
  'fullList',
  'walledGardenIpv6Pool',
];

/** What the hour of the daily runs depends on. */
const movesRuns: readonly string[] = ['zone', 'invoiceRunAt', 'overdueRunAt'];

export interface SettingChange {
  isChanged: boolean;
  before: unknown;
  after: unknown;
}

/** Changes one setting, with a trail. What reaches routers is asked for from every login, behind urgent work. */
export async function changeSettings(
  ctx: CommandContext,
  input: { name: keyof OperatorSettings; value: string },
): Promise<SettingChange> {
  const after = parseInput(
    z.strictObject({ VALUE: rules[input.name] as z.ZodType<string | number, string> }),
    {
      VALUE: input.value,
    },
  ).VALUE;
  const isOfMoney = input.name === 'currency' || input.name === 'exponent';
  const change = await inTransaction(ctx.db, async (trx): Promise<SettingChange> => {
    if (isOfMoney) await holdRule(trx, 'currency');
    const before = (await readSettings(trx))[input.name];
    if (before === after) return { isChanged: false, before, after };
    if (isOfMoney && (await hasPostings(trx))) {
      throw invalid('VALUE', 'cannot change any more: something has been posted');
    }
    const at = ctx.clock.now();
    await saveSettings(trx, { [input.name]: after }, at);
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'setting.change',
      subject: { kind: 'setting', id: null },
      correlationId: ctx.correlationId,
      diff: { name: input.name, before, after },
    });
    if (reachesLogins.includes(input.name)) {
      await wishForManyLogins(trx, 'every login', ctx.correlationId);
    }
    if (movesRuns.includes(input.name)) await moveDailyRuns(trx, at);
    return { isChanged: true, before, after };
  });
  if (change.isChanged) ctx.wake('worker');
  return change;
}

/** The daily runs come due at the operator's hour in the operator's zone: what has changed either moves them. */
async function moveDailyRuns(trx: Trx, now: Date): Promise<void> {
  const { zone, invoiceRunAt, overdueRunAt } = await readSettings(trx);
  for (const [job, at] of [
    ['invoice-run', invoiceRunAt],
    ['overdue-run', overdueRunAt],
  ] as const) {
    await setNextDue(trx, job, { nextDueAt: nextDue({ kind: 'daily', at, zone }, now), now });
  }
}
