import type { Db } from './knex.ts';
import { sqlInstant } from './knex.ts';

/** What the operator decided once; a missing row has the default. */
export interface OperatorSettings {
  /** IANA zone in which days begin and end. */
  zone: string;
  currency: string;
  /** Digits after the decimal point of the currency: 0, 2 or 3. */
  exponent: number;
  invoiceSeries: string;
  /** What "unlimited" means to a router: an explicit rate, because a CoA cannot take a limit away. */
  portRate: string;
  walledGardenRate: string;
  walledGardenList: string;
  /** A denied login's reply set stays complete and restrictive, should an Accept ever slip out. */
  deniedRate: string;
  deniedList: string;
  /** The list of a login with full access whose package names none. */
  fullList: string;
  /** A pool on the routers whose IPv6 prefixes lead nowhere. */
  walledGardenIpv6Pool: string;
  /** Days for which a lift or a rollback keeps the overdue run away. */
  deferralDays: number;
  /** A run that would suspend more than this share (in 1/1000 of active subscriptions) is held for approval... */
  overdueLimitPermille: number;
  /** ...if it is also more than this many. */
  overdueLimitCount: number;
  /** Local time of day, HH:MM, at which the daily runs become due. */
  invoiceRunAt: string;
  overdueRunAt: string;
}

export const defaultSettings: OperatorSettings = {
  zone: 'UTC',
  currency: 'USD',
  exponent: 2,
  invoiceSeries: 'INV',
  portRate: '1000M/1000M',
  walledGardenRate: '256k/256k',
  walledGardenList: 'sluice-walled-garden',
  deniedRate: '64k/64k',
  deniedList: 'sluice-denied',
  fullList: 'sluice-full',
  walledGardenIpv6Pool: 'sluice-walled-garden',
  deferralDays: 7,
  overdueLimitPermille: 100,
  overdueLimitCount: 50,
  invoiceRunAt: '00:30',
  overdueRunAt: '10:00',
};

export async function readSettings(db: Db): Promise<OperatorSettings> {
  const rows = await db('setting').select<{ name: string; value: string }[]>('name', 'value');
  const stored = Object.fromEntries(rows.map((row) => [row.name, JSON.parse(row.value) as unknown]));
  return { ...defaultSettings, ...stored };
}

export async function saveSettings(db: Db, changes: Partial<OperatorSettings>, at: Date): Promise<void> {
  const rows = Object.entries(changes).map(([name, value]) => ({
    name,
    value: JSON.stringify(value),
    changed_at: sqlInstant(at),
  }));
  if (rows.length > 0) await db('setting').insert(rows).onConflict('name').merge(['value', 'changed_at']);
}
