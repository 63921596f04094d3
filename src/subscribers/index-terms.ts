import type { CommandContext } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { rewriteTerms, subscribersWithoutTerms } from '../db/subscriber-terms.ts';

const lookAtOnce = 2000;

/** Makes findable whoever came into the tables by another way than the commands, such as a load by SQL. Gives how many. */
export async function indexMissingTerms(ctx: CommandContext): Promise<number> {
  let after: string | null = '0';
  let count = 0;
  while (after !== null) {
    const { ids, next } = await subscribersWithoutTerms(ctx.db, after, lookAtOnce);
    await inTransaction(ctx.db, (trx) => rewriteTerms(trx, ids));
    count += ids.length;
    after = next;
  }
  return count;
}
