import { expect } from 'chai';
import fc from 'fast-check';
import {
  chartOfAccounts,
  entryKinds,
  houseAccount,
  isMovementAllowed,
  isSideAllowed,
  subscriberAccount,
} from '../../src/domain/chart-of-accounts.ts';
import type { SubscriberId } from '../../src/domain/ids.ts';
import {
  creditNoteEntry,
  type Entry,
  invoiceEntry,
  makeEntry,
  paymentEntry,
  reverse,
  walletUseEntry,
  writeOffEntry,
} from '../../src/domain/ledger.ts';

const who = '7' as SubscriberId;
const ar = subscriberAccount('ar', who);
const wallet = subscriberAccount('wallet', who);
const sum = (entry: Entry) => entry.postings.reduce((total, posting) => total + posting.amountMinor, 0n);
const amount = fc.bigInt({ min: 0n, max: 10n ** 12n });
const positive = fc.bigInt({ min: 1n, max: 10n ** 12n });

describe('ledger', () => {
  it('an invoice of 1000 and 50 tax, debits the receivable and credits revenue and tax', () => {
    expect(invoiceEntry(who, { netMinor: 1000n, taxMinor: 50n }).postings).to.deep.equal([
      { account: ar, amountMinor: 1050n },
      { account: houseAccount('revenue_internet'), amountMinor: -1000n },
      { account: houseAccount('tax_payable'), amountMinor: -50n },
    ]);
  });

  it('a payment of 1200 for it, credits the receivable and puts the rest into the wallet', () => {
    expect(paymentEntry(who, 'bank', { toInvoicesMinor: 1050n, toWalletMinor: 150n }).postings).to.deep.equal(
      [
        { account: houseAccount('bank'), amountMinor: 1200n },
        { account: ar, amountMinor: -1050n },
        { account: wallet, amountMinor: -150n },
      ],
    );
  });

  it('an entry, whatever its parts, sums to zero, and so does its contra, and both together', () => {
    fc.assert(
      fc.property(positive, amount, amount, (first, second, third) => {
        const entries = [
          invoiceEntry(who, { netMinor: first, taxMinor: second }),
          paymentEntry(who, 'cash', { toInvoicesMinor: second, toWalletMinor: first }),
          walletUseEntry(who, first),
          writeOffEntry(who, first),
          creditNoteEntry(who, {
            netMinor: first + third,
            taxMinor: second,
            toInvoiceMinor: first + second,
            toWalletMinor: third,
          }),
        ];
        return entries.every((entry) => {
          const contra = reverse(entry);
          return (
            sum(entry) === 0n &&
            sum(contra) === 0n &&
            entry.postings.every(
              (posting, index) => posting.amountMinor === -(contra.postings[index]?.amountMinor ?? 0n),
            )
          );
        });
      }),
    );
  });

  it('makeEntry, given what is no entry, names the rule', () => {
    const cash = houseAccount('cash');
    const cases: [RegExp, () => Entry][] = [
      [/two postings/, () => makeEntry('payment', [])],
      [/two postings/, () => makeEntry('payment', [{ account: cash, amountMinor: 0n }])],
      [
        /sum to zero/,
        () =>
          makeEntry('payment', [
            { account: cash, amountMinor: 5n },
            { account: ar, amountMinor: -4n },
          ]),
      ],
      [
        /moves something/,
        () =>
          makeEntry('payment', [
            { account: cash, amountMinor: 5n },
            { account: ar, amountMinor: -5n },
            { account: wallet, amountMinor: 0n },
          ]),
      ],
      [
        /stands once/,
        () =>
          makeEntry('payment', [
            { account: cash, amountMinor: 5n },
            { account: ar, amountMinor: -2n },
            { account: ar, amountMinor: -3n },
          ]),
      ],
      [
        /may not debit cash against revenue_internet/,
        () =>
          makeEntry('payment', [
            { account: cash, amountMinor: 5n },
            { account: houseAccount('revenue_internet'), amountMinor: -5n },
          ]),
      ],
      [
        /may not debit ar against cash/,
        () =>
          makeEntry('payment', [
            { account: cash, amountMinor: -5n },
            { account: ar, amountMinor: 5n },
          ]),
      ],
      [
        /kind of owner/,
        () =>
          makeEntry('payment', [
            { account: cash, amountMinor: 5n },
            { account: houseAccount('ar'), amountMinor: -5n },
          ]),
      ],
      [/not reversed/, () => reverse(reverse(walletUseEntry(who, 5n)))],
    ];
    for (const [rule, make] of cases) expect(make).to.throw(RangeError, rule);
  });

  it('the allow-list, for every kind, allows a contra exactly what its original allows the other way', () => {
    const codes = Object.keys(chartOfAccounts) as (keyof typeof chartOfAccounts)[];
    const originals = ['invoice', 'payment', 'wallet_use', 'credit_note', 'write_off'] as const;
    const contras = [
      'invoice_void',
      'payment_reversal',
      'wallet_use_reversal',
      'credit_note_reversal',
      'write_off_reversal',
    ] as const;
    expect([...entryKinds].sort()).to.deep.equal([...originals, ...contras].sort());
    originals.forEach((kind, index) => {
      const contra = contras[index] ?? 'invoice_void';
      for (const a of codes)
        for (const b of codes) {
          expect(isMovementAllowed(kind, a, b), `${kind} ${a} ${b}`).to.equal(
            isMovementAllowed(contra, b, a),
          );
        }
    });
  });

  it('isSideAllowed, for the checker, knows the side and no unknown words', () => {
    expect(isSideAllowed('payment', 'cash', 'debit')).to.equal(true);
    expect(isSideAllowed('payment', 'cash', 'credit')).to.equal(false);
    expect(isSideAllowed('payment_reversal', 'cash', 'credit')).to.equal(true);
    expect(isSideAllowed('gift', 'cash', 'debit')).to.equal(false);
    expect(isSideAllowed('payment', 'petty', 'debit')).to.equal(false);
  });
});
