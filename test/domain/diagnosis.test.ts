import { expect } from 'chai';
import { diagnose, type LinkName } from '../../src/domain/diagnosis.ts';
import type { DiagnosedSession, DiagnosisFacts } from '../../src/domain/diagnosis-facts.ts';
import { rejectWords } from '../../src/domain/reject-words.ts';

const now = new Date('2026-11-12T10:00:00Z');
const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000);

const router: NonNullable<DiagnosisFacts['router']> = {
  name: 'north',
  isRemoved: false,
  level: 'heard',
  error: null,
  breaker: 'closed',
  lastAccountingAt: ago(1),
  lastAnswerAt: null,
};
const evidence = {
  isSettled: true,
  has: 'what it should have, by the Class of its Access-Accept',
  wanted: 'nothing',
  sent: 'nothing was needed',
  acknowledged: 'nothing was needed',
  confirmed: 'by its own Access-Accept',
};
const session: DiagnosedSession = {
  isOpen: true,
  startedAt: ago(60),
  heardAt: ago(2),
  stoppedAt: null,
  terminateCause: '',
  mac: '02:00:00:00:00:01',
  framedIp: '10.0.0.7',
  routerName: 'north',
  interimSeconds: 300,
  evidence,
  isSessionParked: false,
};
const ended = {
  ...session,
  isOpen: false,
  heardAt: ago(30),
  stoppedAt: ago(30),
  terminateCause: 'Lost-Carrier',
  evidence: null,
};
const login = { isRetired: false, macLock: null, staticIpv4: null, editedAt: null };
const decision = {
  ok: true,
  access: 'full',
  reason: 'paid_up',
  sentence: 'Full access: nothing is owed. Stays as it is.',
  changedAt: ago(600),
} as const;

/** Somebody who is online as decided; a case changes one thing. */
function facts(given: Partial<DiagnosisFacts> = {}): DiagnosisFacts {
  return {
    now,
    isNamePossible: true,
    login,
    subscriptionState: 'active',
    decision,
    rows: { total: 12, wrong: [] },
    queued: null,
    hasWorker: true,
    router,
    reject: null,
    lastSession: session,
    ...given,
  };
}

const reject = (reason: string, minutes = 1) => ({
  at: ago(minutes),
  reason,
  mac: '02:00:00:00:00:09',
  routerName: 'north',
});

describe('diagnose', () => {
  it('diagnose, of somebody who is online as decided, proves every link', () => {
    const { links, broken } = diagnose(facts());
    expect(broken).to.equal(null);
    expect(links.map((link) => link.name)).to.deep.equal([
      'exists',
      'subscription',
      'access',
      'rows',
      'router_known',
      'router_reachable',
      'attempt',
      'session',
      'address',
      'rate',
    ]);
    expect(new Set(links.map((link) => link.state))).to.deep.equal(new Set(['ok']));
  });

  const brokenCases: [
    name: string,
    given: Partial<DiagnosisFacts>,
    at: LinkName,
    told: string,
    acts: string[],
  ][] = [
    [
      'whose name nobody has',
      { login: null },
      'exists',
      'There is no login of that name',
      ['add_subscriber'],
    ],
    [
      'whose unknown name is dialled, says from where',
      { login: null, reject: reject('unknown_user') },
      'exists',
      '02:00:00:00:00:09 at north',
      ['add_subscriber'],
    ],
    ['whose name nobody can have', { login: null, isNamePossible: false }, 'exists', 'holds a space', []],
    ['whose login is retired', { login: { ...login, isRetired: true } }, 'exists', 'retired', []],
    ['whose subscription is paused', { subscriptionState: 'paused' }, 'subscription', 'paused', []],
    ['whose subscription has ended', { subscriptionState: 'terminated' }, 'subscription', 'ended', []],
    [
      'who is overdue, offers payment and promise',
      { decision: { ...decision, access: 'denied', reason: 'invoice_overdue', sentence: 'Denied: x.' } },
      'access',
      'Denied: x.',
      ['take_payment', 'promise'],
    ],
    [
      'whom staff hold, offers the lift',
      { decision: { ...decision, access: 'denied', reason: 'staff_hold' } },
      'access',
      '',
      ['lift'],
    ],
    [
      'whose facts cannot be read',
      { decision: { ok: false, error: 'rate limit of the master package' } },
      'access',
      'rate limit of the master package',
      ['reconcile'],
    ],
    [
      'whose rows differ',
      { rows: { total: 12, wrong: ['Framed-Pool'] } },
      'rows',
      '1 of 12 RADIUS rows are not as they should be: Framed-Pool',
      ['reconcile'],
    ],
    [
      'whose rows are waiting for the worker',
      { rows: { total: 12, wrong: ['Framed-Pool'] }, queued: { isParked: false, lastError: null } },
      'rows',
      'The worker has been asked',
      [],
    ],
    [
      'whose rows were given up',
      { rows: { total: 12, wrong: ['Framed-Pool'] }, queued: { isParked: true, lastError: 'no such pool' } },
      'rows',
      'no such pool',
      ['reconcile', 'attention'],
    ],
    [
      'whose rows nobody writes',
      { rows: { total: 12, wrong: ['Framed-Pool'] }, hasWorker: false },
      'rows',
      'No worker is running',
      [],
    ],
    [
      'whose router is removed',
      { router: { ...router, isRemoved: true } },
      'router_known',
      'removed',
      ['open_router'],
    ],
    [
      'whose router FreeRADIUS refused',
      { router: { ...router, level: 'error', error: 'two addresses' } },
      'router_known',
      'two addresses',
      ['open_router'],
    ],
    [
      'whose router is not in place yet',
      { router: { ...router, level: 'waiting' } },
      'router_known',
      'not been given to FreeRADIUS',
      ['open_router'],
    ],
    [
      'whose router does not answer and is not heard',
      { router: { ...router, breaker: 'open', lastAccountingAt: ago(60) }, lastSession: ended },
      'router_reachable',
      'does not answer',
      ['open_router'],
    ],
    [
      'who is refused beside a session from another device',
      { reject: reject('already_online') },
      'attempt',
      'online already',
      ['kick', 'edit_login'],
    ],
    ['who has never dialled', { lastSession: null }, 'session', 'never been online', []],
    ['whose line was lost', { lastSession: ended }, 'session', 'the line was lost', []],
    [
      'whose session has gone silent',
      { lastSession: { ...session, heardAt: ago(17) } },
      'session',
      'nothing was heard of it',
      ['kick'],
    ],
    [
      'who has another address than the fixed one',
      { login: { ...login, staticIpv4: '203.0.113.7' } },
      'address',
      'should have its fixed address 203.0.113.7',
      ['kick'],
    ],
    [
      'whose session has another speed',
      { lastSession: { ...session, evidence: { ...evidence, isSettled: false, wanted: 'a CoA' } } },
      'rate',
      'Wanted: a CoA',
      ['reconcile'],
    ],
    [
      'whose new speed was given up',
      { lastSession: { ...session, isSessionParked: true, evidence: { ...evidence, isSettled: false } } },
      'rate',
      'The session has',
      ['reconcile', 'attention'],
    ],
  ];
  for (const [name, given, at, told, acts] of brokenCases) {
    it(`diagnose, of somebody ${name}, stops at ${at}`, () => {
      const { links, broken } = diagnose(facts(given));
      expect(broken?.name).to.equal(at);
      expect(links.at(-1)).to.equal(broken);
      expect(broken?.found).to.include(told);
      expect(broken?.fix).to.be.a('string');
      expect(broken?.acts).to.deep.equal(acts);
    });
  }

  for (const reason of [
    'wrong_password',
    'unreadable_password',
    'wrong_mac',
    'bad_username',
    'unsupported_method',
  ]) {
    it(`diagnose, of somebody refused because of ${reason} and offline, stops at the attempt with the fix`, () => {
      const given = {
        reject: reject(reason),
        lastSession: ended,
        login: { ...login, macLock: '02:00:00:00:00:05' },
      };
      const { broken } = diagnose(facts(given));
      expect(broken?.name).to.equal('attempt');
      expect(broken?.fix).to.equal(rejectWords(reason).fix);
      expect(broken?.acts).to.deep.equal(rejectWords(reason).acts);
    });
  }

  const attemptCases: [name: string, given: Partial<DiagnosisFacts>, state: string, told: string][] = [
    ['with a session after the refusal', { reject: reject('wrong_password', 90) }, 'ok', 'accepted, after'],
    [
      'beside an open session, from elsewhere',
      { reject: reject('wrong_password') },
      'ok',
      'a dial beside that',
    ],
    [
      'for an access that has changed since',
      { reject: reject('invoice_overdue'), lastSession: ended, decision: { ...decision, changedAt: now } },
      'unknown',
      'its access has changed',
    ],
    [
      'before its rows were there',
      { reject: reject('unknown_user'), lastSession: null },
      'unknown',
      'rows were written',
    ],
    [
      'before the login was edited',
      { reject: reject('wrong_password'), lastSession: ended, login: { ...login, editedAt: now } },
      'unknown',
      'the login was changed',
    ],
    [
      'for a lock that is off by now',
      { reject: reject('wrong_mac'), lastSession: ended },
      'unknown',
      'its MAC lock was changed',
    ],
    ['by nobody, without a session ever', { lastSession: null }, 'unknown', 'no dial of it was ever seen'],
  ];
  for (const [name, given, state, told] of attemptCases) {
    it(`diagnose, of a refusal ${name}, is ${state} about the attempt`, () => {
      const link = diagnose(facts(given)).links.find((one) => one.name === 'attempt');
      expect(link?.state).to.equal(state);
      expect(link?.found).to.include(told);
    });
  }

  const unknownCases: [name: string, given: Partial<DiagnosisFacts>, at: LinkName][] = [
    ['seen on no router', { router: null }, 'router_known'],
    ['seen on no router, about reaching it', { router: null }, 'router_reachable'],
    ['whose router no agent has looked at', { router: { ...router, level: null } }, 'router_known'],
    [
      'whose router is quiet',
      {
        router: { ...router, lastAccountingAt: null },
        lastSession: { ...session, heardAt: ago(30), interimSeconds: 3600 },
      },
      'router_reachable',
    ],
    ['whose address was not reported', { lastSession: { ...session, framedIp: '' } }, 'address'],
  ];
  for (const [name, given, at] of unknownCases) {
    it(`diagnose, of a login ${name}, says that ${at} is not known, and goes on`, () => {
      const { links } = diagnose(facts(given));
      const link = links.find((one) => one.name === at);
      expect(link?.state).to.equal('unknown');
      expect(link?.found).to.match(/^Not known, because/);
      expect(links.at(-1)?.name).to.not.equal(at);
    });
  }

  it('diagnose, of a router that is heard but refuses CoA, is reachable and says so', () => {
    const link = diagnose(facts({ router: { ...router, breaker: 'open' } })).links[5];
    expect(link?.state).to.equal('ok');
    expect(link?.found).to.include('does not answer CoA');
  });

  it('diagnose, of a throttled login, goes on: it connects', () => {
    const given = { decision: { ...decision, access: 'throttled' as const, reason: 'invoice_overdue' } };
    expect(diagnose(facts(given)).broken).to.equal(null);
  });
});

describe('rejectWords', () => {
  it('rejectWords, of every reason that FreeRADIUS and the decision write, has words and a fix', () => {
    const reasons = [
      'invoice_overdue',
      'prepaid_expired',
      'staff_hold',
      'fraud_hold',
      'vacation',
      'subscription_paused',
      'subscription_terminated',
      'login_retired',
      'wrong_password',
      'unknown_user',
      'wrong_mac',
      'already_online',
      'bad_username',
      'denied',
      'no_password',
      'unsupported_method',
      'unreadable_password',
    ];
    for (const reason of reasons) {
      expect(rejectWords(reason).why, reason).to.not.include('FreeRADIUS noted');
      expect(rejectWords(reason).fix, reason).to.not.equal('');
    }
  });

  it('rejectWords, of a reason that nobody knows, repeats it', () => {
    expect(rejectWords('toString').why).to.include('toString');
  });
});
