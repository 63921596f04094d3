import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { checkLedger } from '../../src/billing/ledger-check.ts';
import { systemClock } from '../../src/clock.ts';
import { readTaxRates } from '../../src/db/invoice-runs.ts';
import { readSettings } from '../../src/db/settings.ts';
import { dayIn } from '../../src/domain/day.ts';
import { numbersGiven } from './arguments.ts';
import { type BenchServer, machineLine, openBenchServer } from './bench-server.ts';
import { fillBigIsp } from './big-isp.ts';
import { print, say, tableHead, tableLine } from './figures.ts';
import { invoiceOneAtATime } from './one-invoice-at-a-time.ts';
import { cpuMsOf, memoryOf } from './role-processes.ts';

const usage = `scripts/bench/invoice-run.ts [--subscriptions=50000] [--loop=1000] [--turns=2]
  So many subscriptions fall due in each turn of the invoice run; between its turns a loop invoices --loop one at a time.
`;

const tables = ['reseller', 'reseller_closure', 'setting', 'billing_profile', 'ipv4_pool', 'ppp_profile'];
const sold = ['tax_rate', 'master_package', 'package', 'subscriber', 'subscription'];

async function main(): Promise<void> {
  const size = numbersGiven({ subscriptions: 50_000, loop: 1000, turns: 2 }, usage);
  if (size === undefined) return;
  const server = await openBenchServer();
  try {
    const { db } = server.app;
    const each = size.subscriptions + size.loop;
    const only = [...tables, ...sold];
    await fillBigIsp({ db, now: systemClock.now(), subscribers: each * size.turns, sessions: 0, say, only });
    // Each turn has subscriptions of its own that fall due.
    await db('subscription').update({ next_invoice_on: null });
    print(`${machineLine()}\n`);
    print(
      tableHead([
        '',
        'invoices',
        's',
        'a second',
        'µs of processor each, Node + MariaDB',
        'statements a batch',
      ]),
    );
    for (let turn = 0; turn < size.turns; turn++) {
      const from = turn * each;
      print(await ours(server, from, size.subscriptions));
      print(await loop(server, from + size.subscriptions, size.loop));
    }
    const check = await checkLedger(server.app.context('bench'));
    print(
      `\nthe ledger's check: ${check.verdict}, ${check.entryCount} entries; memory at its highest ${memoryOf(process.pid).most.toFixed(0)} MB`,
    );
    print(machineLine());
  } finally {
    await server.close();
  }
}

async function ours(server: BenchServer, from: number, count: number): Promise<string> {
  await fallDue(server, from, count);
  let statements = 0;
  const counting = () => (statements += 1);
  server.app.db.on('query', counting);
  const line = await measured(server, 'invoice run', async () => {
    const run = await applyInvoiceRun(server.app.context('bench'), { asOf: today() });
    return run.issuedCount;
  });
  server.app.db.removeListener('query', counting);
  return tableLine([...line, Math.round(statements / Math.ceil(count / 500)).toString()]);
}

async function loop(server: BenchServer, from: number, count: number): Promise<string> {
  await fallDue(server, from, count);
  const { db } = server.app;
  const settings = await readSettings(db);
  const parts = {
    address: server.address,
    rates: await readTaxRates(db),
    asOf: today(),
    currency: settings.currency,
    exponent: settings.exponent,
    series: settings.invoiceSeries,
  };
  const ids = Array.from({ length: count }, (_, index) => String(from + index + 1));
  return tableLine([...(await measured(server, 'one at a time', () => invoiceOneAtATime(parts, ids))), '']);
}

async function fallDue({ app }: BenchServer, from: number, count: number): Promise<void> {
  await app
    .db('subscription')
    .whereBetween('id', [from + 1, from + count])
    .update({
      state: 'active',
      ended_on: null,
      anchor_on: today(),
      next_period: 0,
      next_invoice_on: today(),
    });
}

async function measured(
  { mariadb }: BenchServer,
  name: string,
  work: () => Promise<number>,
): Promise<string[]> {
  const node = process.cpuUsage();
  const server = cpuMsOf(mariadb.child.pid);
  const startedAt = performance.now();
  const count = await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(node);
  const own = (user + system) / count;
  const database = ((cpuMsOf(mariadb.child.pid) - server) * 1000) / count;
  return [
    name,
    count.toLocaleString('en'),
    seconds.toFixed(1),
    Math.round(count / seconds).toLocaleString('en'),
    `${own.toFixed(0)} + ${database.toFixed(0)} = ${(own + database).toFixed(0)}`,
  ];
}

function today() {
  return dayIn('UTC', systemClock.now());
}

await main();
