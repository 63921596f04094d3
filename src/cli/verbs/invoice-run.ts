import { applyInvoiceRun } from '../../billing/invoice-run.ts';
import { planInvoiceRun } from '../../billing/invoice-run-plan.ts';
import { dayIn } from '../../domain/day.ts';
import { count, money } from '../format.ts';
import { table } from '../output.ts';
import type { Verb } from '../verb.ts';

export const invoiceRun: Verb = {
  name: 'invoice-run',
  group: 'Money',
  summary: 'issues the invoices that are due',
  options: {
    'as-of': { value: 'DAY', about: 'today where it is left out; a preview may ask for any day' },
    apply: { about: 'issues them; without it, this is a preview' },
  },
  details: [
    'Run twice, or killed and run again, it issues nothing twice and leaves no gap in the numbers. A subscription that cannot be invoiced is parked and listed; the run goes on. The timetable does this each day by itself.',
  ],
  examples: ['invoice-run', 'invoice-run --as-of 2026-12-01', 'invoice-run --apply'],
  async run(call) {
    const settings = await call.settings();
    const asOf = call.day('as-of') ?? dayIn(settings.zone, call.clock.now());
    if (!call.has('apply')) {
      const plan = await planInvoiceRun(call.app().db, asOf);
      call.out.show({ ok: true, isPreview: true, ...plan }, () => [
        ...(plan.items.length === 0
          ? []
          : table(
              [
                'SUBSCRIBER',
                'NAME',
                'PACKAGE',
                { title: 'INVOICES', isRight: true },
                { title: 'TOTAL', isRight: true },
                '',
              ],
              plan.items.map((item) => [
                `#${item.subscriberId}`,
                item.subscriberName,
                item.packageName,
                String(item.invoices.length),
                money(
                  item.invoices.reduce((sum, invoice) => sum + invoice.netMinor + invoice.taxMinor, 0n),
                  settings,
                ),
                item.problem === null
                  ? ''
                  : `cannot be invoiced: ${String(item.problem).replaceAll('_', ' ')}`,
              ]),
            )),
        ...(plan.items.length < plan.subscriptionCount
          ? [`… and ${plan.subscriptionCount - plan.items.length} more.`]
          : []),
        `As of ${asOf}: ${count(plan.invoiceCount, 'invoice')} for ${count(plan.subscriptionCount, 'subscription')}, ${money(plan.totalMinor, settings)} with ${money(plan.taxMinor, settings)} tax.`,
        'This was a preview: nothing was changed. --apply issues them.',
      ]);
      return undefined;
    }
    const run = await applyInvoiceRun(call.context(), {
      asOf,
      progress: ({ done, total }) => call.out.progress(`${done} of ${total}`),
      signal: call.signal,
    });
    call.out.show({ ok: run.stillDueCount === 0, ...run }, () => [
      `Invoice run ${run.id} as of ${asOf}: ${count(run.issuedCount, 'invoice')}, ${money(run.totalMinor, settings)}.`,
      ...(run.parkedCount === 0
        ? []
        : [`${run.parkedCount} could not be invoiced: "sluice needs-attention" lists them.`]),
      ...(run.stillDueCount === 0 ? [] : [`${run.stillDueCount} still due; run it again.`]),
    ]);
    return run.stillDueCount === 0 ? 0 : 1;
  },
};
