import { recordPayment, reversePayment } from '../../billing/payments.ts';
import { findPayment } from '../../db/payments.ts';
import { parseMinor } from '../../domain/money.ts';
import { AppError, invalid } from '../../errors.ts';
import { count, money } from '../format.ts';
import { optional } from '../optional.ts';
import { facts } from '../output.ts';
import { refuse } from '../refusal.ts';
import { requireSubscriber } from '../subject.ts';
import type { Call, Verb } from '../verb.ts';

export const pay: Verb = {
  name: 'pay',
  group: 'Money',
  summary: 'records a payment; service comes back in the same breath',
  positionals: [{ name: 'WHO' }, { name: 'AMOUNT' }],
  options: {
    channel: { value: 'CHANNEL', about: 'cash or bank' },
    reference: { value: 'TEXT', about: 'number of the receipt or transfer, unique in its channel' },
    'received-on': { value: 'DAY', about: 'today where it is left out; never later' },
  },
  details: [
    'WHO is a username or #number of a subscriber. The oldest due invoices are paid first; the rest goes to the wallet. The same channel, reference and amount again is the same payment; with another amount it is refused.',
  ],
  examples: [
    'pay amina 34.50 --channel cash --reference R-1042',
    'pay "#17" 100 --channel bank --reference TRX-77120 --received-on 2026-11-18',
  ],
  async run(call) {
    const { db } = call.app();
    const subscriberId = await requireSubscriber(db, call.positional('WHO'));
    const settings = await call.settings();
    const result = await recordPayment(call.context(), {
      subscriberId,
      channel: channelOf(call),
      reference: call.text('reference'),
      amountMinor: amountOf(call.positional('AMOUNT'), settings),
      ...optional('receivedOn', call.day('received-on')),
    });
    if (!result.ok) {
      const { payment } = result;
      const text =
        result.reason === 'reference_used'
          ? `The reference belongs to another payment: ${money(payment.amountMinor, settings)} of subscriber #${payment.subscriberId}, ${payment.receivedOn}. Nothing was recorded.`
          : 'This very payment was recorded and reversed before; money that comes again has a reference of its own.';
      return refuse(call, result, text);
    }
    call.out.show(result, () => [
      ...(result.isRepeat ? ['This payment had been recorded before; nothing was changed.'] : []),
      ...facts([
        ['payment', `${result.payment.id}: ${money(result.payment.amountMinor, settings)}`],
        ['set against', count(result.allocations.length, 'invoice')],
        ['to the wallet', money(result.toWalletMinor, settings)],
        [
          'service',
          result.closedSuspensions.length === 0
            ? 'was not suspended for debt, or is still overdue'
            : `back: ${count(result.closedSuspensions.length, 'suspension')} closed`,
        ],
      ]),
    ]);
    return undefined;
  },
};

function channelOf(call: Call): 'cash' | 'bank' {
  return call.text('channel') as 'cash' | 'bank';
}

function amountOf(text: string, settings: { exponent: number; currency: string }): bigint {
  const rule = `must be an amount in ${settings.currency} above nothing, with at most ${settings.exponent} decimals`;
  try {
    const amount = parseMinor(text, settings.exponent);
    if (amount > 0n) return amount;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw invalid('AMOUNT', rule);
}

export const payReverse: Verb = {
  name: 'reverse-payment',
  group: 'Money',
  summary: 'undoes a payment that was none: bounced, or a slip of the hand',
  options: {
    channel: { value: 'CHANNEL', about: 'cash or bank' },
    reference: { value: 'TEXT', about: 'the reference it was recorded with' },
    note: { value: 'TEXT', about: 'why' },
  },
  details: [
    'The payment stays, marked; a contra entry undoes it and its invoices are open again. The next overdue run looks at them.',
  ],
  examples: ['reverse-payment --channel bank --reference TRX-77120 --note "came back"'],
  async run(call) {
    const payment = await findPayment(call.app().db, channelOf(call), call.text('reference'));
    if (payment === undefined) {
      throw new AppError('not_found', '--reference: no payment of that channel has it', {
        field: 'reference',
      });
    }
    const result = await reversePayment(call.context(), { paymentId: payment.id, note: call.text('note') });
    if (!result.ok) return refuse(call, result, 'It has been reversed already; nothing was changed.');
    call.out.show(result, () => [`Reversed. ${count(result.reopened.length, 'invoice')} open again.`]);
    return undefined;
  },
};
