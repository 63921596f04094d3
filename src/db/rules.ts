import type { Trx } from './knex.ts';

/**
 * Rules over many rows, which no unique key keeps: `addresses`, that no two pool ranges of a router, static addresses or
 * delegated prefixes overlap, and that no range is on a removed router; `owners`, that somebody stays owner; `currency`,
 * that it does not change once something is posted; `invoice_run`, that a day has one unfinished run.
 */
export type Rule = 'addresses' | 'owners' | 'currency' | 'invoice_run';

/**
 * Whoever checks a rule and then writes by what it saw holds the rule first: another one waits for the COMMIT and checks
 * after it. To hold is a write, because on Galera a lock is not seen by other nodes: there the one that commits second is
 * undone and checks again.
 */
export async function holdRule(trx: Trx, rule: Rule): Promise<void> {
  await trx('rule_hold')
    .insert({ rule, version: 1 })
    .onConflict('rule')
    .merge({ version: trx.raw('version + 1') });
}
