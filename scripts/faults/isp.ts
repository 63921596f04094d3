import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { addBillingProfile } from '../../src/catalog/add-billing-profile.ts';
import { addIpv4Pool } from '../../src/catalog/add-ipv4-pool.ts';
import { addMasterPackage } from '../../src/catalog/add-master-package.ts';
import { addPackage } from '../../src/catalog/add-package.ts';
import { fixedClock } from '../../src/clock.ts';
import type { App } from '../../src/app.ts';
import type { CommandContext } from '../../src/command.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { addDays, type Day, dayIn } from '../../src/domain/day.ts';
import { addRouter } from '../../src/network/routers.ts';
import { addStaff } from '../../src/staff/manage-staff.ts';
import { addSubscriber } from '../../src/subscribers/register.ts';

/**
 * When somebody's invoice was issued, and so what a run finds: `early` are overdue for a week, `late` since today,
 * `current` have still time to pay, `fresh` get their first invoice in the story.
 */
export type Group = 'early' | 'late' | 'current' | 'fresh';

export interface Person {
  readonly number: number;
  readonly username: string;
  readonly password: string;
  readonly mac: string;
  readonly group: Group;
  readonly effect: 'block' | 'throttle' | 'walled_garden';
  readonly package: string;
  readonly router: string;
  readonly subscriberId: string;
  readonly subscriptionId: string;
}

export interface LabRouterPlace {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly secret: string;
  readonly coaPort: number;
}

export interface Isp {
  readonly today: Day;
  readonly people: readonly Person[];
  readonly routers: readonly LabRouterPlace[];
}

export interface IspSize {
  readonly subscribers: number;
  readonly routers: number;
}

export const staffPassword = 'correct horse battery';
export const staff = ['chaos-ann', 'chaos-bob'] as const;
export const speeds = ['5M/25M', '10M/50M', '20M/100M'] as const;
export const packages = ['home-5', 'home-10', 'home-20'] as const;
export const masterPackages = ['line-5', 'line-10', 'line-20'] as const;
export const priceMinor = 3000n;
const effects = ['block', 'throttle', 'walled_garden'] as const;
/** Early enough that seven days to pay and two of grace are over, or not. */
const issuedDaysAgo: Record<Exclude<Group, 'fresh'>, number> = { early: 20, late: 10, current: 5 };
const atOnce = 8;

/** An ISP as every story finds it, made by the commands that staff and timetable use, their clock set back. */
export async function buildIsp(
  app: App,
  size: IspSize,
  server: { authPort: number; acctPort: number },
  say: (text: string) => void,
): Promise<Isp> {
  const now = app.clock.now();
  const today = dayIn('UTC', now);
  await settle(app, now);
  const routers = await addRouters(app, size.routers, server);
  const people: Person[] = [];
  const numbers = Array.from({ length: size.subscribers }, (_, index) => index + 1);
  for (const group of ['early', 'late', 'current', 'fresh'] as const) {
    const day = addDays(today, group === 'fresh' ? 0 : -issuedDaysAgo[group]);
    const ctx = contextOn(app, day);
    await each(
      numbers.filter((number) => groupOf(number) === group),
      async (number) => {
        people.push(await join(ctx, number, group, routers));
      },
    );
    if (group !== 'fresh') await applyInvoiceRun(ctx, { asOf: day });
    say(`${people.length} of ${size.subscribers} subscribers are there`);
  }
  people.sort((a, b) => a.number - b.number);
  return { today, people, routers };
}

/** Of ten: two early, two late, one fresh, five current. */
function groupOf(number: number): Group {
  return (
    (['early', 'current', 'late', 'current', 'fresh', 'early', 'current', 'late'] as const)[number % 10] ??
    'current'
  );
}

function contextOn(app: App, day: Day): CommandContext {
  return { ...app.context('chaos-ann', `chaos:${day}`), clock: fixedClock(`${day}T09:00:00Z`) };
}

async function settle(app: App, now: Date): Promise<void> {
  const ctx = app.context('system', 'chaos:begin');
  // The timetable's own runs come while nobody looks: what a story compares must not depend on the time of day.
  const hourAgo = new Date(now.getTime() - 3_600_000).toISOString().slice(11, 16);
  await saveSettings(
    app.db,
    { zone: 'UTC', currency: 'USD', exponent: 2, invoiceRunAt: hourAgo, overdueRunAt: hourAgo },
    now,
  );
  await addIpv4Pool(ctx, { name: 'home', suspendedName: 'home-suspended' });
  for (const [index, name] of masterPackages.entries()) {
    await addMasterPackage(ctx, {
      name,
      customerType: 'pppoe',
      billingType: 'monthly',
      rateLimit: speeds[index] ?? '',
      pool: 'home',
      interimSeconds: 60,
    });
    await addPackage(ctx, {
      name: packages[index] ?? '',
      masterPackage: name,
      customersPriceMinor: priceMinor,
      operatorsPriceMinor: 2500n,
    });
  }
  for (const overdueEffect of effects) {
    await addBillingProfile(ctx, {
      name: overdueEffect,
      dueDays: 7,
      graceDays: 2,
      isOverdueRunOn: true,
      overdueEffect,
      ...(overdueEffect === 'throttle' ? { throttleRate: '1M/1M' } : {}),
    });
  }
  for (const username of staff) {
    await addStaff(ctx, { username, name: username, role: 'owner', password: staffPassword });
  }
}

async function addRouters(
  app: App,
  count: number,
  server: { authPort: number; acctPort: number },
): Promise<LabRouterPlace[]> {
  const ctx = app.context('chaos-ann', 'chaos:routers');
  // Somewhere in 127/8, so that two of these at the same time do not meet.
  const [second, third] = [64 + (process.pid % 180), (process.pid >> 8) % 250];
  const routers: LabRouterPlace[] = [];
  for (let number = 1; number <= count; number++) {
    const place = {
      name: `pop-${String(number).padStart(2, '0')}`,
      address: `127.${second}.${third}.${number}`,
      secret: `radius secret of pop ${number}`,
      coaPort: 3799,
    };
    const added = await addRouter(ctx, place, { address: '127.0.0.1', ...server });
    routers.push({ ...place, id: String(added.routerId) });
  }
  return routers;
}

async function join(
  ctx: CommandContext,
  number: number,
  group: Group,
  routers: readonly LabRouterPlace[],
): Promise<Person> {
  const digits = String(number).padStart(5, '0');
  const person = {
    number,
    username: `s${digits}`,
    password: `line of ${digits}`,
    mac: `02:5A:00:${hex(number >> 16)}:${hex(number >> 8)}:${hex(number)}`,
    group,
    effect: effects[Math.floor(number / 10) % 3] ?? 'block',
    package: packages[Math.floor(number / 30) % 3] ?? 'home-5',
    router: routers[Math.floor(number / 10) % routers.length]?.name ?? '',
  };
  const added = await addSubscriber(ctx, {
    name: `Subscriber ${digits}`,
    billingProfile: person.effect,
    package: person.package,
    username: person.username,
    password: person.password,
  });
  return {
    ...person,
    subscriberId: String(added.subscriberId),
    subscriptionId: String(added.subscriptionId),
  };
}

function hex(value: number): string {
  return (value & 255).toString(16).toUpperCase().padStart(2, '0');
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
