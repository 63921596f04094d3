import fc from 'fast-check';
import { addDays, addMonths, parseDay } from '../../../src/domain/day.ts';
import { asId, type InvoiceId } from '../../../src/domain/ids.ts';
import { formatMinor, parseMinor, splitByWeights } from '../../../src/domain/money.ts';
import { allocate } from '../../../src/domain/payment-allocation.ts';
import { prorate } from '../../../src/domain/proration.ts';
import { taxLine } from '../../../src/domain/tax.ts';
import { ensure, near, orRefused, property, type Property } from './property.ts';

const minor = fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n });
const exponent = fc.integer({ min: 0, max: 3 });
const aDay = fc.integer({ min: 0, max: 60_000 }).map((number) => addDays(parseDay('1900-01-01'), number));

export const moneyProperties: readonly Property[] = [
  property(
    'parseMinor takes plain amounts only',
    [near(/^-?\d{1,16}(\.\d{0,4})?$/), exponent],
    (text, digits) => {
      const amount = orRefused(() => parseMinor(text, digits));
      if (amount === undefined) return;
      const [, sign = '', whole = '', fraction = ''] =
        /^(-?)([0-9]{1,15})(?:\.([0-9]+))?$/.exec(text.trim()) ?? [];
      ensure(whole !== '' && fraction.length <= digits, 'rubbish was taken for an amount');
      const size = BigInt(whole) * 10n ** BigInt(digits) + BigInt((fraction + '000').slice(0, digits) || '0');
      ensure(amount === (sign === '-' ? -size : size), 'the amount is another one');
    },
  ),
  property('parseMinor reads what formatMinor writes', [minor, exponent], (amount, digits) => {
    const text = formatMinor(amount, digits);
    if (text.replace(/\..*|^-/g, '').length > 15) return;
    ensure(parseMinor(text, digits) === amount, `${text} is not ${amount}`);
  }),
  property('parseDay takes days that exist', [near(/^\d{4}-\d{2}-\d{2}$/)], (text) => {
    const day = orRefused(() => parseDay(text));
    if (day === undefined) return;
    ensure(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text), 'is not written as a day');
    ensure(day === text, 'is another day than was written');
    ensure(new Date(`${text}T00:00:00Z`).toISOString().startsWith(text), 'does not exist');
  }),
  property(
    'parts of an amount add up',
    [minor, fc.array(fc.bigInt({ min: 0n, max: 1000n }), { minLength: 1, maxLength: 8 })],
    (amount, weights) => {
      const parts = orRefused(() => splitByWeights(amount, weights));
      if (parts === undefined) return;
      ensure(parts.reduce((sum, part) => sum + part, 0n) === amount, 'the parts are not the whole');
    },
  ),
  property(
    'prorated parts add up',
    [
      fc.bigInt({ min: 0n, max: 10n ** 15n }),
      aDay,
      fc.integer({ min: 1, max: 400 }),
      fc.array(aDay, { maxLength: 5 }),
    ],
    (amount, start, days, cuts) => {
      const period = { start, end: addDays(start, days) };
      const parts = prorate(amount, period, cuts);
      ensure(
        parts.reduce((sum, part) => sum + part.amountMinor, 0n) === amount,
        'the parts are not the price',
      );
      ensure(parts.reduce((sum, part) => sum + part.days, 0) === days, 'the days are not the period');
      ensure(
        parts.every((part) => part.amountMinor >= 0n),
        'a part is negative',
      );
    },
  ),
  property(
    'allocations never exceed the money or an invoice',
    [
      fc.bigInt({ min: 0n, max: 10n ** 12n }),
      fc.array(fc.tuple(aDay, aDay, fc.bigInt({ min: -10n, max: 10n ** 11n })), { maxLength: 12 }),
    ],
    (amount, given) => {
      const invoices = given.map(([dueOn, issuedOn, openMinor], index) => ({
        id: asId<InvoiceId>(index + 1),
        dueOn,
        issuedOn,
        openMinor,
      }));
      const { allocations, restMinor } = allocate(amount, invoices);
      const sum = allocations.reduce((total, part) => total + part.amountMinor, 0n);
      ensure(sum + restMinor === amount && restMinor >= 0n, 'money came or went');
      for (const { invoiceId, amountMinor } of allocations) {
        const invoice = invoices.find(({ id }) => id === invoiceId);
        ensure(
          invoice !== undefined && amountMinor > 0n && amountMinor <= invoice.openMinor,
          'too much was set',
        );
      }
    },
  ),
  property(
    'net and tax add up',
    [minor, fc.integer({ min: 0, max: 30_000 }), fc.boolean()],
    (price, rateBp, isInclusive) => {
      const line = taxLine(price, { name: 'VAT', rateBp, isInclusive });
      ensure(line.netMinor + line.taxMinor === line.totalMinor, 'net and tax are not the total');
      ensure((isInclusive ? line.totalMinor : line.netMinor) === price, 'the price changed');
    },
  ),
  property(
    'months are counted from the anchor',
    [aDay, fc.integer({ min: -600, max: 600 })],
    (anchor, months) => {
      const day = addMonths(anchor, months);
      ensure(day.slice(8) <= anchor.slice(8), 'is a later day of the month');
      ensure(parseDay(day) === day, 'is not a day');
    },
  ),
];
