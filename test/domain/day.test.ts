import { expect } from 'chai';
import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import {
  addDays,
  addMonths,
  dayIn,
  daysBetween,
  parseDay,
  startOfDay,
  timeOnDay,
} from '../../src/domain/day.ts';

describe('day', () => {
  it('addMonths, from the 31st, clamps to the month and comes back to the 31st', () => {
    const anchor = parseDay('2024-01-31');
    expect([1, 2, 3, 4].map((n) => addMonths(anchor, n))).to.deep.equal([
      '2024-02-29',
      '2024-03-31',
      '2024-04-30',
      '2024-05-31',
    ]);
    expect(addMonths(parseDay('2025-01-30'), 1)).to.equal('2025-02-28');
    expect(addMonths(parseDay('2024-02-29'), 12)).to.equal('2025-02-28');
    expect(addMonths(parseDay('2024-02-29'), 48)).to.equal('2028-02-29');
  });

  it('dayIn, gives the day of the zone, half-hour zones too', () => {
    expect(dayIn('Asia/Kolkata', new Date('2026-01-31T18:30:00Z'))).to.equal('2026-02-01');
    expect(dayIn('Asia/Kolkata', new Date('2026-01-31T18:29:59Z'))).to.equal('2026-01-31');
    expect(() => dayIn('Asia/Nowhere', new Date('2026-01-31T18:29:59Z'))).to.throw(RangeError);
  });

  it('startOfDay, where midnight is skipped, is the first instant of the day', () => {
    expect(startOfDay(parseDay('2026-03-29'), 'Asia/Beirut').toISOString()).to.equal(
      '2026-03-28T22:00:00.000Z',
    );
    expect(startOfDay(parseDay('2026-03-29'), 'Europe/Berlin').toISOString()).to.equal(
      '2026-03-28T23:00:00.000Z',
    );
  });

  it('timeOnDay, at an hour that a clock change skips, still happens that day', () => {
    expect(timeOnDay(parseDay('2026-03-29'), '02:30', 'Europe/Berlin').toISOString()).to.equal(
      '2026-03-29T01:30:00.000Z',
    );
  });

  it('parseDay, refuses what is no day', () => {
    for (const text of ['2026-02-29', '2026-2-1', '20260201', '', '2026-13-01', '2026-01-01T00:00']) {
      expect(() => parseDay(text), text).to.throw(RangeError);
    }
  });

  it('daysBetween and addDays, over a clock change, count calendar days', () => {
    expect(daysBetween(parseDay('2026-03-28'), parseDay('2026-03-30'))).to.equal(2);
    expect(addDays(parseDay('2026-02-28'), 1)).to.equal('2026-03-01');
  });

  it('daysBetween and addDays, of any days, agree with the calendar library', () => {
    const anyDay = fc
      .date({
        min: new Date('1900-01-01T00:00:00Z'),
        max: new Date('2199-12-31T00:00:00Z'),
        noInvalidDate: true,
      })
      .map((date) => parseDay(date.toISOString().slice(0, 10)));
    fc.assert(
      fc.property(anyDay, anyDay, fc.integer({ min: -40_000, max: 40_000 }), (from, to, days) => {
        const day = Temporal.PlainDate.from(from);
        expect(addDays(from, days)).to.equal(day.add({ days }).toString());
        expect(daysBetween(from, to)).to.equal(day.until(to, { largestUnit: 'days' }).days);
      }),
    );
  });
});
