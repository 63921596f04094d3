import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { type DbAddress, openDb } from '../../src/db/knex.ts';
import { parseDay } from '../../src/domain/day.ts';
import { testContext } from '../support/builders.ts';

/** An invoice run in a process of its own, which a test kills: `invoice-run-child ADDRESS DAY`. */
const [address = '{}', day = ''] = process.argv.slice(2);
const db = openDb(JSON.parse(address) as DbAddress);
await applyInvoiceRun(testContext(db, { now: `${day}T10:00:00Z` }), {
  asOf: parseDay(day),
  progress: ({ done }) => process.send?.(done),
});
await db.destroy();
process.disconnect();
