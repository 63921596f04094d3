import { checkLedger } from '../../billing/ledger-check.ts';
import { openInvoicesOf } from '../../db/invoices.ts';
import { balancesOf } from '../../db/ledger.ts';
import { latestLedgerCheck } from '../../db/ledger-check.ts';
import { ago, count, money, time } from '../format.ts';
import { facts, table } from '../output.ts';
import { requireSubscriber } from '../subject.ts';
import type { Verb } from '../verb.ts';

export const ledgerCheck: Verb = {
  name: 'ledger check',
  group: 'Money',
  summary: 'proves that balances equal postings and documents',
  options: { last: { about: 'shows the last verdict instead of checking now' } },
  details: [
    'The verdict is written down. The timetable checks each day by itself. Exit code 1 when something is broken.',
  ],
  examples: ['ledger check', 'ledger check --last'],
  async run(call) {
    const settings = await call.settings();
    const check = call.has('last')
      ? await latestLedgerCheck(call.app().db)
      : await checkLedger(call.context());
    if (check === undefined) {
      call.out.show({ ok: false, check: null }, () => ['The ledger has never been checked.']);
      return 1;
    }
    call.out.show({ ok: check.verdict === 'ok', check }, () => [
      `The ledger is ${check.verdict}: ${count(check.entryCount, 'entry', 'entries')}, ${count(check.postingCount, 'posting')}, checked ${time(check.checkedAt, settings.zone)} (${ago(check.checkedAt, call.clock.now())}).`,
      ...(check.findings.length === 0
        ? []
        : table(
            ['RULE', 'WHAT', 'EXPECTED', 'IS'],
            check.findings.map((finding) => [
              finding.rule,
              finding.subject,
              finding.expected,
              finding.actual,
            ]),
          )),
    ]);
    return check.verdict === 'ok' ? 0 : 1;
  },
};

export const ledgerBalance: Verb = {
  name: 'ledger balance',
  group: 'Money',
  summary: 'what a subscriber owes and has in the wallet',
  positionals: [{ name: 'WHO' }],
  details: ['WHO is a username or #number of a subscriber.'],
  examples: ['ledger balance amina'],
  async run(call) {
    const { db } = call.app();
    const subscriberId = await requireSubscriber(db, call.positional('WHO'));
    const settings = await call.settings();
    const balance = (await balancesOf(db, [subscriberId], settings)).get(subscriberId);
    const invoices = await openInvoicesOf(db, [subscriberId]);
    const owed = balance?.owedMinor ?? 0n;
    const wallet = balance?.walletMinor ?? 0n;
    call.out.show(
      { ok: true, subscriberId, owedMinor: owed, walletMinor: wallet, openInvoices: invoices.length },
      () =>
        facts([
          ['subscriber', `#${subscriberId}`],
          ['owes', `${money(owed, settings)} on ${count(invoices.length, 'open invoice')}`],
          ['wallet', money(wallet, settings)],
        ]),
    );
    return undefined;
  },
};
