import { expect } from 'chai';
import { asId, type LoginId } from '../../src/domain/ids.ts';
import { evidenceOf, type SeenPacket, type SeenSession, speedOf } from '../../src/domain/session-evidence.ts';

const login = asId<LoginId>('7');
const [full, slow, redial] = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'];
const decision = {
  access: 'full',
  generation: '3',
  accessFingerprint: full,
  redialFingerprint: redial,
  rate: '20M/100M',
};
const given: SeenSession = {
  class: `S1.7.${full}.${redial}.n1`,
  acknowledged: null,
  claimedGoneAt: null,
  isKickWanted: false,
  queued: null,
  last: null,
};
const slowed: SeenSession = { ...given, class: `S1.7.${slow}.${redial}.n1` };
const coa: SeenPacket & { rate: string | null } = {
  action: 'coa',
  why: 'paid_up',
  outcome: 'ack',
  errorCause: null,
  attempts: 1,
  confirmedAt: null,
  confirmedBy: null,
  rate: '20M/100M',
};

describe('evidenceOf', () => {
  it('of a session that began with what is decided, needs nothing and says by what it knows', () => {
    expect(evidenceOf(given, decision, login)).to.include({
      isSettled: true,
      has: 'what it should have, by the Class of its Access-Accept',
      wanted: 'nothing',
      sent: 'nothing was needed',
      confirmed: 'by its own Access-Accept',
    });
  });

  it('of a session with an older access, wants a CoA to the generation that is decided', () => {
    const evidence = evidenceOf(slowed, decision, login);
    expect(evidence.isSettled).to.equal(false);
    expect(evidence.wanted).to.equal('a CoA to generation 3');
    expect(evidence.sent).to.equal('nothing yet');
  });

  it('of one whose redial part differs, wants a Disconnect, since CoA cannot change it', () => {
    const session = { ...given, class: `S1.7.${full}.dddddddddd.n1` };
    expect(evidenceOf(session, decision, login).wanted).to.equal(
      'a Disconnect, and a redial to generation 3',
    );
  });

  it('an acknowledged CoA, outranks the Class, and is the router’s word and no proof', () => {
    const acknowledged = { accessFingerprint: full, redialFingerprint: redial };
    const evidence = evidenceOf({ ...slowed, acknowledged, last: coa }, decision, login);
    expect(evidence).to.include({ isSettled: true, acknowledged: 'yes' });
    expect(evidence.has).to.include('by its last acknowledged CoA');
    expect(evidence.confirmed).to.equal('unknown: nothing observes the rate on the router');
  });

  it('a Class of another login, or none, is unknown and never right', () => {
    for (const text of [`S1.8.${full}.${redial}.n1`, 'free text', null]) {
      const evidence = evidenceOf({ ...given, class: text }, decision, login);
      expect(evidence.has).to.include('unknown');
      expect(evidence.isSettled).to.equal(false);
    }
  });

  it('a denied login’s session and one that staff want to end, want a Disconnect', () => {
    expect(evidenceOf(given, { ...decision, access: 'denied' }, login).wanted).to.equal(
      'a Disconnect: the login is denied',
    );
    expect(evidenceOf({ ...given, isKickWanted: true }, decision, login)).to.include({
      wanted: 'a Disconnect: staff want it ended',
      isSettled: false,
    });
  });

  it('a wish that was given up, says so with its last error', () => {
    const queued = { isParked: true, lastError: 'no answer' };
    expect(evidenceOf({ ...slowed, queued }, decision, login).wanted).to.equal('given up: no answer');
  });

  it('a refusal, is shown with its Error-Cause; no answer, as that', () => {
    const nak: SeenPacket = { ...coa, outcome: 'nak', errorCause: 503, attempts: 2 };
    const refused = evidenceOf({ ...slowed, last: nak }, decision, login);
    expect(refused).to.include({
      sent: 'CoA (paid_up), 2 packets',
      acknowledged: 'refused, Error-Cause 503',
    });
    const silent = evidenceOf({ ...slowed, last: { ...coa, outcome: 'timeout' } }, decision, login);
    expect(silent.acknowledged).to.equal('no answer');
  });
});

describe('speedOf', () => {
  it('of a session that began with the speed that is decided, says what its Access-Accept carried', () => {
    expect(speedOf({ ...given, last: null }, decision, login)).to.deep.equal({
      wanted: '20M/100M',
      sent: '20M/100M, with its Access-Accept',
      confirmed: '20M/100M by its start; nobody has read it on the router',
    });
  });

  it('of a session with an older speed and nothing sent, claims no speed', () => {
    expect(speedOf({ ...slowed, last: null }, decision, login)).to.deep.equal({
      wanted: '20M/100M',
      sent: 'not yet',
      confirmed: 'unknown: it has what it was given before',
    });
  });

  it('of a CoA, tells a reading from the router’s word, and both from no answer', () => {
    const of = (last: Partial<typeof coa>) =>
      speedOf({ ...slowed, last: { ...coa, ...last } }, decision, login).confirmed;
    expect(of({ confirmedBy: 'rate' })).to.equal('20M/100M, read on the router');
    expect(of({})).to.equal("20M/100M by the router's word; nobody has read it there");
    expect(of({ outcome: 'timeout' })).to.equal('no: no answer');
    expect(of({ outcome: 'nak', errorCause: 401 })).to.equal('no: refused, Error-Cause 401');
  });

  it('of a CoA with another speed than is wanted by now, shows both', () => {
    const speed = speedOf({ ...slowed, last: { ...coa, rate: '1M/1M' } }, decision, login);
    expect(speed).to.include({ wanted: '20M/100M', sent: '1M/1M, by CoA' });
  });

  it('of a denied login and of one that nobody decided on, names no speed', () => {
    expect(
      speedOf({ ...given, last: null }, { ...decision, access: 'denied', rate: null }, login).wanted,
    ).to.equal('none: denied');
    expect(speedOf({ ...given, last: null }, undefined, login)).to.include({
      wanted: 'none is named',
      sent: 'not yet',
    });
  });
});
