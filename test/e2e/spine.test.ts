import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { checkLedger } from '../../src/billing/ledger-check.ts';
import { rollbackRun } from '../../src/billing/overdue-run-rollback.ts';
import { scheduledOverdueRun } from '../../src/billing/overdue-run.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { setMasterPackage } from '../../src/catalog/set-master-package.ts';
import { dayIn } from '../../src/domain/day.ts';
import { asId, type SubscriberId } from '../../src/domain/ids.ts';
import { kickSession } from '../../src/network/kick-session.ts';
import { openStack, type Signed, type Stack } from '../support/stack.ts';

type Router = Awaited<ReturnType<Stack['router']>>;

/** The main job, with nothing left out: commands, queue, RADIUS rows, real FreeRADIUS, CoA to a router, accounting. */
describe('the spine', function () {
  this.timeout(90_000);
  let stack: Stack;
  let router: Router;
  let blocked: Signed;
  let throttled: Signed;
  let walled: Signed;

  before(async () => {
    stack = await openStack();
    router = await stack.router('pop-1', { interimSeconds: 1 });
    // A month ago: three subscribers, one for each effect, get their first invoice.
    stack.clock.daysAgo(30);
    blocked = await stack.subscriber('anna', { billingProfile: 'block' });
    throttled = await stack.subscriber("o'hara", { billingProfile: 'throttle' });
    walled = await stack.subscriber('a+b', { billingProfile: 'walled' });
    await applyInvoiceRun(stack.ctx, { asOf: dayIn('UTC', stack.clock.now()) });
    stack.clock.daysAgo(0);
  });
  after(() => stack.close());

  it('a login is answered by FreeRADIUS from rows that Sluice wrote', async () => {
    for (const who of [blocked, throttled, walled]) {
      const outcome = await router.dial({ ...who, method: 'mschap2', redialAfterMs: 100 });
      if (!outcome.ok) throw new Error(`${who.username}: ${outcome.why}`);
      expect(outcome.session.rate).to.equal('20M/100M');
      expect(outcome.session.address).to.match(/^10\.64\./);
      expect(outcome.session.class).to.match(
        new RegExp(`^S1\\.${who.loginId}\\.[0-9a-f]{10}\\.[0-9a-f]{10}\\..+`),
      );
    }
    await stack.until('three sessions in accounting', async () => (await openSessions(stack)) === 3);
  });

  it('an overdue run throttles by CoA on the live session, blocks and walls off by Disconnect', async () => {
    const { run } = await scheduledOverdueRun(stack.ctx);
    expect(run).to.include({ state: 'applied', plannedCount: 3 });

    await stack.until(
      'the throttled rate on the live session',
      () => sessionOf(router, throttled)?.rate === '1M/1M',
    );
    await stack.until('the blocked session ended', () => sessionOf(router, blocked) === undefined);
    await stack.until('the walled session in the suspended pool', () => {
      const session = sessionOf(router, walled);
      return session?.address.startsWith('10.65.') === true && session.list === 'sluice-walled-garden';
    });
    const refused = await router.dial({ ...blocked });
    expect(refused).to.deep.include({ ok: false, why: 'reject' });
    expect(refused).to.have.property('replyMessage', 'invoice_overdue');
    expect(await lastEvidence(stack, throttled)).to.include({
      action: 'coa',
      outcome: 'ack',
      why: 'invoice_overdue',
    });
    await stack.until('the Disconnect confirmed by a Stop', async () => {
      const evidence = await lastEvidence(stack, blocked);
      return evidence?.['action'] === 'disconnect' && evidence['confirmed_by'] === 'stop';
    });
  });

  it('a payment undoes it at once: full rate on the live session, the next dial, the redial', async () => {
    for (const [index, who] of [blocked, throttled, walled].entries())
      await pay(stack, who, `receipt-${index}`);
    await stack.until(
      'the full rate on the live session',
      () => sessionOf(router, throttled)?.rate === '20M/100M',
    );
    await stack.until(
      'the walled session redialled into full service',
      () => sessionOf(router, walled)?.address.startsWith('10.64.') === true,
    );
    const accepted = await router.dial({ ...blocked, redialAfterMs: 100 });
    expect(accepted.ok).to.equal(true);
    // The throttled one was never cut.
    expect(
      router.endedSessions().filter((session) => session.username === throttled.username),
    ).to.have.length(0);
  });

  it('the same payment again changes nothing, and the ledger adds up', async () => {
    await pay(stack, throttled, 'receipt-1');
    const [{ n }] = (await stack.t.db('payment').count({ n: '*' })) as unknown as [{ n: string }];
    expect(Number(n)).to.equal(3);
    expect(await checkLedger(stack.ctx)).to.include({ verdict: 'ok' });
  });

  it("a master package's new speed reaches every live session by CoA", async () => {
    await setMasterPackage(stack.ctx, { masterPackage: 'fast line', rateLimit: '30M/200M' });
    for (const who of [blocked, throttled, walled]) {
      await stack.until(`the new rate of ${who.username}`, () => sessionOf(router, who)?.rate === '30M/200M');
    }
    expect(
      router.endedSessions().filter((session) => session.username === throttled.username),
    ).to.have.length(0);
  });

  it('a kick ends the session, and the redial is not refused as already online', async () => {
    const before = sessionOf(router, throttled);
    await kickSession(stack.ctx, { username: throttled.username, note: 'test' });
    await stack.until('another session', () => {
      const now = sessionOf(router, throttled);
      return now !== undefined && now.key !== before?.key;
    });
  });

  it('a rollback gives back what the run took, and the next tick of the day leaves it alone', async () => {
    const late = await overdueAgain(stack, 'berta');
    const outcome = await router.dial({ ...late, redialAfterMs: 100 });
    expect(outcome.ok).to.equal(true);
    await stack.t.db('overdue_run').update({ once_key: null });
    const { run } = await scheduledOverdueRun(stack.ctx);
    await stack.until('the session ended', () => sessionOf(router, late) === undefined);
    await rollbackRun(stack.ctx, { runId: run.id, note: 'wrong day' });
    await stack.until(
      'the dial accepted again',
      async () => (await router.dial({ ...late, redialAfterMs: 100 })).ok,
    );
    await stack.t.db('overdue_run').update({ once_key: null });
    const again = await scheduledOverdueRun(stack.ctx);
    expect(again.run.plannedCount).to.equal(0);
  });

  it('a silent router does not delay another one, and gets what it missed when it is back', async () => {
    const other = await stack.router('pop-2', { interimSeconds: 1 });
    const [here, there] = [await overdueAgain(stack, 'carla'), await overdueAgain(stack, 'dora')];
    await router.dial({ ...here });
    await other.dial({ ...there });
    await stack.until('both in accounting', async () => {
      const names = await stack.t.db('radacct').whereNull('acctstoptime').pluck<string[]>('username');
      return names.includes('carla') && names.includes('dora');
    });
    router.faults.set({ kind: 'silent' });
    await stack.t.db('overdue_run').update({ once_key: null });
    await scheduledOverdueRun(stack.ctx);
    await stack.until(
      'the session on the living router ended',
      () => sessionOf(other, there) === undefined,
      5000,
    );
    expect(sessionOf(router, here)).to.not.equal(undefined);
    router.faults.clear();
    await stack.until(
      'the session on the returned router ended',
      () => sessionOf(router, here) === undefined,
      40_000,
    );
  });

  it('with Sluice stopped, FreeRADIUS goes on answering', async () => {
    for (const role of ['worker', 'lane', 'radius-agent'] as const) await stack.stopRole(role);
    const outcome = await router.dial({ ...throttled, mac: '02:00:00:00:00:77' });
    expect(outcome).to.include({ ok: false, why: 'reject' });
    expect(outcome).to.have.property('replyMessage', 'already_online');
    router.hangUp(sessionOf(router, throttled)?.key ?? '');
    await router.accountingIdle();
    expect(await router.dial({ ...throttled })).to.include({ ok: true });
  });
});

function sessionOf(router: Router, who: Signed) {
  return router.sessions().find((session) => session.username === who.username);
}

async function openSessions(stack: Stack): Promise<number> {
  const [row] = (await stack.t.db('radacct').whereNull('acctstoptime').count({ n: '*' })) as unknown as [
    { n: string },
  ];
  return Number(row.n);
}

async function lastEvidence(stack: Stack, who: Signed): Promise<Record<string, unknown> | undefined> {
  return stack.t
    .db('enforcement')
    .where({ login_id: who.loginId })
    .orderBy('id', 'desc')
    .first<Record<string, unknown>>();
}

async function pay(stack: Stack, who: Signed, reference: string): Promise<void> {
  const result = await recordPayment(stack.ctx, {
    subscriberId: asId<SubscriberId>(who.subscriberId),
    channel: 'cash',
    reference,
    amountMinor: 3000n,
  });
  expect(result).to.include({ ok: true });
}

/** Somebody who was invoiced a month ago and has not paid. */
async function overdueAgain(stack: Stack, username: string): Promise<Signed> {
  stack.clock.daysAgo(30);
  const who = await stack.subscriber(username, { billingProfile: 'block' });
  await applyInvoiceRun(stack.ctx, { asOf: dayIn('UTC', stack.clock.now()) });
  stack.clock.daysAgo(0);
  return who;
}
