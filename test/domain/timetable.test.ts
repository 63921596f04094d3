import { expect } from 'chai';
import { nextDue } from '../../src/domain/timetable.ts';

const daily = (at: string, zone: string) => ({ kind: 'daily', at, zone }) as const;

describe('nextDue', () => {
  it('daily, before and after the time of day, is today or tomorrow', () => {
    const rhythm = daily('10:00', 'Asia/Dhaka');
    expect(nextDue(rhythm, new Date('2026-05-01T03:59:59Z')).toISOString()).to.equal(
      '2026-05-01T04:00:00.000Z',
    );
    expect(nextDue(rhythm, new Date('2026-05-01T04:00:00Z')).toISOString()).to.equal(
      '2026-05-02T04:00:00.000Z',
    );
  });

  it('daily, at an hour that spring skips, happens once that day', () => {
    const rhythm = daily('02:30', 'Europe/Berlin');
    const first = nextDue(rhythm, new Date('2026-03-28T12:00:00Z'));
    expect(first.toISOString()).to.equal('2026-03-29T01:30:00.000Z');
    expect(nextDue(rhythm, first).toISOString()).to.equal('2026-03-30T00:30:00.000Z');
  });

  it('daily, at an hour that autumn repeats, happens once that day', () => {
    const rhythm = daily('02:30', 'Europe/Berlin');
    const first = nextDue(rhythm, new Date('2026-10-24T12:00:00Z'));
    expect(first.toISOString()).to.equal('2026-10-25T00:30:00.000Z');
    expect(nextDue(rhythm, first).toISOString()).to.equal('2026-10-26T01:30:00.000Z');
  });

  it('refuses what is no time of day', () => {
    for (const at of ['24:00', '9:00', '10:60', '']) {
      expect(() => nextDue(daily(at, 'UTC'), new Date('2026-05-01T00:00:00Z')), at).to.throw(RangeError);
    }
  });
});
