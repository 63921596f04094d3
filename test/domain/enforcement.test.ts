import { expect } from 'chai';
import {
  decideAfterRefusal,
  decideEnforcement,
  isDoubtOver,
  type SessionState,
  type WantedAccess,
} from '../../src/domain/enforcement.ts';
import { asId, type LoginId } from '../../src/domain/ids.ts';

const at = (text: string) => new Date(`2026-01-01T${text}Z`);
const open: SessionState = {
  isOpen: true,
  class: 'S1.7.aaaaaaaaaa.bbbbbbbbbb.n1',
  startedAt: at('10:00:00'),
  heardAt: at('10:05:00'),
  acknowledged: null,
  unanswered: null,
  claimedGoneAt: null,
  refusedGeneration: null,
  isEnding: false,
};
const full: WantedAccess = {
  loginId: asId<LoginId>('7'),
  access: 'full',
  reason: 'paid_up',
  generation: 3n,
  accessFingerprint: 'aaaaaaaaaa',
  redialFingerprint: 'bbbbbbbbbb',
  since: at('09:00:00'),
  coaAttributes: [['Mikrotik-Rate-Limit', '10M/50M']],
};
const slower = { ...full, access: 'throttled', accessFingerprint: 'cccccccccc' } as const;
const acknowledged = {
  accessFingerprint: 'cccccccccc',
  redialFingerprint: 'bbbbbbbbbb',
  at: at('10:02:00'),
  generation: 3n,
};

interface Case {
  name: string;
  session?: Partial<SessionState>;
  wanted?: WantedAccess | null | undefined;
  isKicked?: boolean;
  rateChange?: 'coa' | 'disconnect';
  gives: [action: string, because: string];
}

const cases: Case[] = [
  { name: 'has what is wanted by its Class', gives: ['none', 'in_sync'] },
  { name: 'has another access fingerprint', wanted: slower, gives: ['coa', 'access_changed'] },
  {
    name: 'is on a router that ignores a rate CoA',
    wanted: slower,
    rateChange: 'disconnect',
    gives: ['disconnect', 'access_changed'],
  },
  {
    name: 'would need a CoA that has nothing to say',
    wanted: { ...slower, coaAttributes: [] },
    gives: ['disconnect', 'access_changed'],
  },
  {
    name: 'is on a router that refused this CoA',
    wanted: slower,
    session: { refusedGeneration: 3n },
    gives: ['disconnect', 'coa_refused'],
  },
  {
    name: 'is on a router that refused an older CoA',
    wanted: slower,
    session: { refusedGeneration: 2n },
    gives: ['coa', 'access_changed'],
  },
  {
    name: 'has another redial fingerprint',
    wanted: { ...full, redialFingerprint: 'dddddddddd' },
    gives: ['disconnect', 'redial_needed'],
  },
  {
    name: 'has what is wanted by its last acknowledged CoA',
    session: { acknowledged },
    wanted: slower,
    gives: ['none', 'in_sync'],
  },
  {
    name: 'has something else by its last acknowledged CoA than by its Class',
    session: { acknowledged },
    gives: ['coa', 'access_changed'],
  },
  { name: 'is of a denied login', wanted: { ...full, access: 'denied' }, gives: ['disconnect', 'denied'] },
  { name: 'is kicked', isKicked: true, gives: ['disconnect', 'kick'] },
  { name: 'is kicked, though undecided', isKicked: true, wanted: null, gives: ['disconnect', 'kick'] },
  { name: 'has ended', session: { isOpen: false }, isKicked: true, gives: ['none', 'ended'] },
  {
    name: 'is ending already',
    session: { isEnding: true },
    wanted: { ...full, access: 'denied' },
    gives: ['none', 'ending'],
  },
  {
    name: 'was claimed gone',
    session: { claimedGoneAt: at('10:06:00') },
    wanted: { ...full, access: 'denied' },
    gives: ['none', 'claimed_gone'],
  },
  {
    name: 'was claimed gone and accounted for since',
    session: { claimedGoneAt: at('10:04:00') },
    wanted: { ...full, access: 'denied' },
    gives: ['disconnect', 'denied'],
  },
  { name: 'is of a login that is not decided yet', wanted: null, gives: ['none', 'undecided'] },
  { name: 'is of an unknown login, by our Class', wanted: undefined, gives: ['disconnect', 'unknown_login'] },
  {
    name: "is somebody else's",
    wanted: undefined,
    session: { class: null },
    gives: ['none', 'not_ours'],
  },
  {
    name: 'has no Class and began before the rows said so',
    session: { class: null },
    wanted: { ...full, since: at('09:59:55') },
    gives: ['coa', 'class_unknown'],
  },
  {
    name: "has another login's Class and began before",
    session: { class: 'S1.8.aaaaaaaaaa.bbbbbbbbbb.n1' },
    wanted: { ...full, since: at('10:01:00') },
    gives: ['coa', 'class_unknown'],
  },
  {
    name: 'has no Class and began since',
    session: { class: 'ai:1' },
    wanted: { ...full, access: 'walled_garden' },
    gives: ['none', 'accepted_since'],
  },
  {
    name: 'has no Class, began before, and belongs into the walled garden',
    session: { class: null },
    wanted: { ...full, access: 'walled_garden', since: at('10:01:00') },
    gives: ['disconnect', 'class_unknown'],
  },
  {
    name: 'has an unanswered CoA although its Class agrees',
    session: { unanswered: { at: at('10:03:00'), generation: 2n } },
    gives: ['coa', 'unanswered'],
  },
  {
    name: 'was answered once after an unanswered CoA',
    session: {
      unanswered: { at: at('10:01:00'), generation: 2n },
      acknowledged: { ...acknowledged, accessFingerprint: 'aaaaaaaaaa' },
    },
    gives: ['coa', 'asserted_again'],
  },
];

describe('decideEnforcement', () => {
  for (const { name, session, isKicked, rateChange, gives, ...rest } of cases) {
    it(`when the session ${name}, gives ${gives.join(' because ')}`, () => {
      const wanted = 'wanted' in rest ? rest.wanted : full;
      const enforcement = decideEnforcement({
        session: { ...open, ...session },
        wanted,
        isKicked: isKicked ?? false,
        rateChange: rateChange ?? 'coa',
      });
      expect([enforcement.action, enforcement.because]).to.deep.equal(gives);
      if (enforcement.action === 'coa') expect(enforcement.attributes).to.equal(wanted?.coaAttributes);
    });
  }
});

describe('decideAfterRefusal', () => {
  it('when the session is unknown to the router, calls it gone, whatever was sent', () => {
    expect(decideAfterRefusal('coa', 503)).to.equal('claimed_gone');
    expect(decideAfterRefusal('disconnect', 503)).to.equal('claimed_gone');
  });
  it('when a CoA is refused, disconnects; when a Disconnect is, tries again later', () => {
    expect(decideAfterRefusal('coa', 401)).to.equal('disconnect');
    expect(decideAfterRefusal('coa', null)).to.equal('disconnect');
    expect(decideAfterRefusal('disconnect', 504)).to.equal('try_again');
  });
});

describe('isDoubtOver', () => {
  it('when nothing older went unanswered, is over with the first answer', () => {
    expect(isDoubtOver(open, 3n)).to.equal(true);
    expect(isDoubtOver({ ...open, unanswered: { at: at('10:03:00'), generation: 3n } }, 3n)).to.equal(true);
  });
  it('when an older one did, is over with the second answer', () => {
    const session = { ...open, unanswered: { at: at('10:01:00'), generation: 2n } };
    expect(isDoubtOver(session, 3n)).to.equal(false);
    expect(isDoubtOver({ ...session, acknowledged }, 3n)).to.equal(true);
    expect(isDoubtOver({ ...session, acknowledged: { ...acknowledged, at: at('10:00:59') } }, 3n)).to.equal(
      false,
    );
    expect(isDoubtOver({ ...session, acknowledged: { ...acknowledged, generation: 2n } }, 3n)).to.equal(
      false,
    );
  });
});
