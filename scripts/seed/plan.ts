import { addDays, addMonths, type Day } from '../../src/domain/day.ts';
import type { Person } from './cast.ts';
import { diceFor } from './random.ts';

/** What happens on one day, in the order in which a day goes. */
export interface DayPlan {
  readonly day: Day;
  joins: Person[];
  hasInvoiceRun: boolean;
  hasOverdueRun: boolean;
  payments: PlannedPayment[];
  ends: Person[];
}

export interface PlannedPayment {
  readonly person: Person;
  readonly channel: 'cash' | 'bank';
  readonly reference: string;
  /** Percent of what is open; or so many times the newest invoice, into the wallet. */
  readonly share: { percent: number } | { times: number };
}

/**
 * A year of days before `today`, those on which something happens. Overdue runs are weekly, the last three days ago, so
 * that there are subscribers who have become overdue since.
 */
export function planYear(cast: readonly Person[], today: Day): DayPlan[] {
  const days = new Map<Day, DayPlan>();
  const at = (day: Day): DayPlan => {
    let plan = days.get(day);
    if (plan === undefined) {
      plan = { day, joins: [], hasInvoiceRun: false, hasOverdueRun: false, payments: [], ends: [] };
      days.set(day, plan);
    }
    return plan;
  };
  const first = addMonths(today, -12);
  for (const person of cast) planPerson(person, today, at);
  for (let day = addDays(today, -3); day > first; day = addDays(day, -7)) at(day).hasOverdueRun = true;
  return [...days.values()].sort((a, b) => (a.day < b.day ? -1 : 1));
}

function planPerson(person: Person, today: Day, at: (day: Day) => DayPlan): void {
  const newest = addDays(today, -person.periodBeganDaysAgo);
  // Twelve months back is the same day of the month but for 29 February; fewer may be a shorter month's last.
  const monthsAgo = 12 - person.joinedMonth;
  const joined = addMonths(newest, -monthsAgo);
  at(joined).joins.push(person);
  const invoiceCount = monthsAgo + 1;
  for (let index = 0; index < invoiceCount; index++) {
    const issued = addMonths(joined, index);
    at(issued).hasInvoiceRun = true;
    for (const { after, ...payment } of paymentsFor(person, index, invoiceCount)) {
      const day = addDays(issued, after);
      if (day < today) at(day).payments.push(payment);
    }
  }
  if (person.payer.kind !== 'stops') return;
  const end = addDays(addMonths(joined, person.payer.fromInvoice), 90);
  if (end < today) at(end).ends.push(person);
}

function paymentsFor(
  person: Person,
  index: number,
  invoiceCount: number,
): (PlannedPayment & { after: number })[] {
  const dice = diceFor(`pays:${person.username}:${index}`);
  const channel = dice.percent(35) ? 'bank' : 'cash';
  const place = `${String(person.number).padStart(4, '0')}${String(index).padStart(2, '0')}`;
  const reference = (part: string) => `${channel === 'bank' ? 'TRX-77' : 'R-'}${place}${part}`;
  const payment = (after: number, share: PlannedPayment['share'], part = '') =>
    ({
      person,
      channel,
      reference: reference(part),
      share,
      after,
    }) as const;
  const { payer } = person;
  if (payer.kind === 'stops') {
    return index < payer.fromInvoice ? [payment(dice.between(1, 6), { percent: 100 })] : [];
  }
  if (index >= invoiceCount - (payer.lastUnpaid ?? 0)) return [];
  switch (payer.kind) {
    case 'on_time':
      return [payment(dice.between(1, 6), { percent: 100 })];
    case 'in_grace':
      return [payment(dice.between(8, 9), { percent: 100 })];
    case 'very_late':
      return [payment(dice.between(14, 22), { percent: 100 })];
    case 'partial':
      return [
        payment(dice.between(2, 6), { percent: 60 }),
        payment(dice.between(12, 17), { percent: 100 }, '-2'),
      ];
    case 'in_advance':
      return index % 4 === 0 ? [payment(1, { times: 4 })] : [];
  }
}
