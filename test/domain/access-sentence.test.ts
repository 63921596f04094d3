import { expect } from 'chai';
import { accessSentence, type AccessStory, dayText, nextByItself } from '../../src/domain/access-sentence.ts';
import { parseDay } from '../../src/domain/day.ts';

const today = parseDay('2026-11-12');

function invoice(label: string, dueOn: string, openMinor: bigint) {
  return { label, dueOn: parseDay(dueOn), openMinor };
}

type Given = Partial<Omit<AccessStory, 'debt'>> & { debt?: Partial<AccessStory['debt']> };

function story(given: Given = {}): AccessStory {
  const { debt, ...rest } = given;
  return {
    access: 'full',
    reason: 'paid_up',
    rate: null,
    today,
    since: parseDay('2026-11-03'),
    suspension: null,
    isAlsoOverdue: false,
    reviewOn: null,
    ...rest,
    debt: {
      open: [],
      graceDays: 3,
      isOverdueRunOn: true,
      deferredUntil: null,
      format: (minor) => `${minor / 100n}.${String(minor % 100n).padStart(2, '0')}`,
      ...debt,
    },
  };
}

const late = invoice('INV-2041', '2026-10-31', 115_000n);
const later = invoice('INV-2060', '2026-11-05', 3000n);
const future = invoice('INV-2077', '2026-11-30', 3000n);

describe('accessSentence', () => {
  const cases: [name: string, given: Given, text: string][] = [
    [
      'of a throttle for one invoice, says how late, and what ends it',
      { access: 'throttled', reason: 'invoice_overdue', rate: '1M/1M', debt: { open: [late] } },
      'Throttled to 1M/1M since 3 Nov: invoice INV-2041 is 9 days past due and grace. Restores by itself when 1150.00 is paid.',
    ],
    [
      'of a block for several invoices, adds those that bite and no others',
      { access: 'denied', reason: 'invoice_overdue', debt: { open: [late, later, future] } },
      'Denied since 3 Nov: 2 invoices are past due and grace, the oldest (INV-2041) by 9 days. Restores by itself when 1180.00 is paid.',
    ],
    [
      'of an overdue suspension with nothing overdue, says that it ends by itself',
      { access: 'walled_garden', reason: 'invoice_overdue', debt: { open: [future] } },
      'In the walled garden since 3 Nov: it was suspended as overdue. Nothing is past due and grace any more: the next look lifts it by itself.',
    ],
    [
      'of full access with nothing owed, says so',
      {},
      'Full access since 3 Nov: nothing is owed. Stays as it is.',
    ],
    [
      'of full access in grace, says when the run acts and what prevents it',
      { debt: { open: [invoice('INV-7', '2026-11-11', 3000n)] } },
      'Full access since 3 Nov: invoice INV-7 is 1 day past due, in grace. The overdue run acts on 15 Nov unless 30.00 is paid.',
    ],
    [
      'of full access with an invoice not due yet, names its day',
      { debt: { open: [future] } },
      'Full access since 3 Nov: invoice INV-2077 is due on 30 Nov. The overdue run acts on 4 Dec unless 30.00 is paid.',
    ],
    [
      'of an overdue one that is deferred, says until when',
      { debt: { open: [late], deferredUntil: parseDay('2026-11-20') } },
      'Full access since 3 Nov: invoice INV-2041 is 9 days past due and grace, and deferred. The overdue run acts on 20 Nov unless 1150.00 is paid.',
    ],
    [
      'of an overdue one before its run, says that the next run acts',
      { debt: { open: [late] } },
      'Full access since 3 Nov: invoice INV-2041 is 9 days past due and grace. The next overdue run acts on it.',
    ],
    [
      'where the profile leaves debtors alone, says so',
      { debt: { open: [late], isOverdueRunOn: false } },
      'Full access since 3 Nov: invoice INV-2041 is 9 days past due and grace. The billing profile leaves debtors alone.',
    ],
    [
      'of a hold, says who, why, and that no payment ends it',
      {
        access: 'denied',
        reason: 'staff_hold',
        suspension: { openedBy: 'rina', note: 'moving house' },
      },
      'Denied since 3 Nov: held by staff (rina), “moving house”. Stays until somebody lifts it; a payment does not end it.',
    ],
    [
      'of a hold beside a debt, tells the debt too',
      { access: 'denied', reason: 'fraud_hold', isAlsoOverdue: true, debt: { open: [late] } },
      'Denied since 3 Nov: held because of suspected fraud. Stays until somebody lifts it; a payment does not end it. It is overdue as well: 1150.00 is owed past due and grace.',
    ],
    [
      'without a known beginning, leaves it out',
      { access: 'denied', reason: 'login_retired', since: null },
      'Denied: the login is retired. It does not come back, and its name is never given again.',
    ],
    [
      'begun in another year, has the year',
      { access: 'denied', reason: 'subscription_terminated', since: parseDay('2025-11-03') },
      'Denied since 3 Nov 2025: the subscription has ended. It does not come back: a new subscription is needed.',
    ],
    [
      'of a pause, says what ends it',
      { access: 'denied', reason: 'subscription_paused' },
      'Denied since 3 Nov: the subscription is paused. Comes back when the subscription is resumed.',
    ],
    [
      'of used-up prepaid time, says what ends it',
      { access: 'walled_garden', reason: 'prepaid_expired' },
      'In the walled garden since 3 Nov: what was paid for in advance is used up. Comes back when it is renewed.',
    ],
  ];
  for (const [name, given, text] of cases) {
    it(`accessSentence, ${name}`, () => {
      expect(accessSentence(story(given)).text).to.equal(text);
    });
  }

  it('dayText, of the same year and of another, has the year where it is needed', () => {
    expect(dayText(parseDay('2026-01-09'), today)).to.equal('9 Jan');
    expect(dayText(parseDay('2027-12-31'), today)).to.equal('31 Dec 2027');
  });
});

describe('nextByItself', () => {
  it('nextByItself, with nothing open and no end, is nothing', () => {
    expect(nextByItself(story())).to.equal(null);
  });

  it('nextByItself, of full access, is the first day on which the overdue run may act', () => {
    expect(nextByItself(story({ debt: { open: [future] } }))?.on).to.equal('2026-12-04');
    expect(nextByItself(story({ debt: { open: [late] } }))?.on).to.equal(today);
    const deferredUntil = parseDay('2026-11-20');
    expect(nextByItself(story({ debt: { open: [late], deferredUntil } }))?.on).to.equal('2026-11-20');
    expect(nextByItself(story({ debt: { open: [late], isOverdueRunOn: false } }))).to.equal(null);
  });

  it('nextByItself, suspended already, is not the run again', () => {
    expect(
      nextByItself(story({ access: 'denied', reason: 'invoice_overdue', debt: { open: [late] } })),
    ).to.equal(null);
  });

  it('nextByItself, with an end before the run, is that end', () => {
    const reviewOn = parseDay('2026-11-25');
    expect(nextByItself(story({ reviewOn, debt: { open: [future] } }))?.on).to.equal(reviewOn);
  });
});
