import { findLogins } from '../../db/subscribers.ts';
import { invalid } from '../../errors.ts';
import { access } from '../format.ts';
import { table } from '../output.ts';
import type { Verb } from '../verb.ts';

const most = 50;

export const subscriberFind: Verb = {
  name: 'subscriber find',
  group: 'Subscribers',
  summary: 'finds logins by the beginning of username, name or phone',
  positionals: [{ name: 'TEXT' }],
  options: {
    limit: { value: 'NUMBER', about: `at most so many; ${most} where it is left out, 1000 at most` },
  },
  examples: ['subscriber find amina', "subscriber find o'h", 'subscriber find "#17"'],
  async run(call) {
    const text = call.positional('TEXT').trim();
    if (text === '') throw invalid('TEXT', 'must not be empty');
    const limit = call.whole('limit') ?? most;
    if (limit < 1 || limit > 1000) throw invalid('limit', 'must be from 1 to 1000');
    const found = await findLogins(call.app().db, text, limit + 1);
    const shown = found.slice(0, limit);
    const hasMore = found.length > limit;
    call.out.show({ ok: true, logins: shown, hasMore }, () => [
      ...(shown.length === 0
        ? ['Nobody is called that.']
        : table(
            ['SUBSCRIBER', 'NAME', 'USERNAME', 'PACKAGE', 'SUBSCRIPTION', 'ACCESS'],
            shown.map((row) => [
              `#${row.subscriberId}`,
              row.name,
              row.username,
              row.package,
              row.subscription,
              access({ access: row.access, reason: row.reason }),
            ]),
          )),
      ...(hasMore ? [`There are more than ${limit}; say more of the name, or give --limit.`] : []),
    ]);
    return undefined;
  },
};
