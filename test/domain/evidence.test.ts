import { expect } from 'chai';
import { type EvidenceState, judgeEvidence } from '../../src/domain/evidence.ts';

const at = (text: string) => new Date(`2026-01-01T${text}Z`);
const open = { isOpen: true, isStopSeen: false, heardAt: at('10:00:00') };
const ack: EvidenceState = {
  action: 'disconnect',
  outcome: 'ack',
  since: at('10:02:00'),
  checks: 0,
  disobeyed: 0,
  session: open,
};

const cases: [string, Partial<EvidenceState>, string][] = [
  ['the Stop is there', { session: { ...open, isOpen: false, isStopSeen: true } }, 'confirmed'],
  ['the session was closed as stale', { session: { ...open, isOpen: false } }, 'ended'],
  ['the row of accounting is gone', { session: null }, 'ended'],
  ['nothing was heard yet', {}, 'later'],
  ['an interim came that was on its way', { session: { ...open, heardAt: at('10:02:05') } }, 'later'],
  ['an interim came after the ACK', { session: { ...open, heardAt: at('10:02:06') } }, 'send_again'],
  [
    'an interim came after the third ACK',
    { disobeyed: 2, session: { ...open, heardAt: at('10:02:06') } },
    'park',
  ],
  ['nothing was heard for half an hour', { checks: 6 }, 'give_up'],
  ['no outcome was written', { outcome: 'pending' }, 'abandoned'],
  [
    'it timed out and a Stop came',
    { outcome: 'timeout', session: { ...open, isOpen: false, isStopSeen: true } },
    'confirmed',
  ],
  ['it timed out and no Stop came', { outcome: 'timeout', checks: 2 }, 'not_proved'],
  ['it was superseded a moment ago', { outcome: 'superseded' }, 'later'],
  ['it is a CoA: only the API could prove a rate', { action: 'coa' }, 'not_proved'],
];

describe('judgeEvidence', () => {
  for (const [name, change, verdict] of cases) {
    it(`when ${name}, gives ${verdict}`, () => {
      expect(judgeEvidence({ ...ack, ...change }).kind).to.equal(verdict);
    });
  }

  it('when it looks again, waits three times as long', () => {
    const waits = [0, 1, 2, 3, 4, 5].map((checks) => {
      const verdict = judgeEvidence({ ...ack, checks });
      return verdict.kind === 'later' ? verdict.waitMs / 1000 : -1;
    });
    expect(waits).to.deep.equal([5, 15, 45, 135, 405, 1215]);
  });
});
