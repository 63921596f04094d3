import { CoaClient } from '../../src/adapters/radius/coa-client.ts';
import type { App } from '../../src/app.ts';
import type { SubscriberId } from '../../src/domain/ids.ts';
import { radclientCoa } from './radclient.ts';
import type { ResponderRouter } from './responders.ts';

/** What payment.ts measures beside ours. */

/** The floor: our client, the same routers, the same packet, one after another, and nothing else of ours. */
export async function bareRoundTrips(
  app: App,
  routers: readonly ResponderRouter[],
  payers: readonly SubscriberId[],
): Promise<number[]> {
  const client = new CoaClient({ sourceAddress: '127.0.0.1' });
  const sessions = await sessionsOf(app, payers);
  const taken: number[] = [];
  for (const session of sessions) {
    const target = routers.find(({ address }) => address === session.nasipaddress);
    if (target === undefined) throw new Error('a session on no router');
    const outcome = await client.send({
      kind: 'coa',
      target,
      attributes: [
        ['User-Name', session.username],
        ['Acct-Session-Id', session.acctsessionid],
        ['Mikrotik-Rate-Limit', '1M/1M'],
      ],
    });
    if (outcome.kind !== 'ack') throw new Error(`no ACK: ${outcome.kind}`);
    taken.push(outcome.roundTripUs / 1000);
  }
  await client.close();
  return taken;
}

/** What many panels do in the web request: write the row, start radclient, wait for it. Nothing is queued or remembered. */
export async function asPanel(
  app: App,
  routers: readonly ResponderRouter[],
  payers: readonly SubscriberId[],
): Promise<number[]> {
  const taken: number[] = [];
  for (const session of await sessionsOf(app, payers)) {
    const target = routers.find(({ address }) => address === session.nasipaddress);
    if (target === undefined) throw new Error('a session on no router');
    const startedAt = performance.now();
    await app.db.raw(
      `UPDATE radreply SET value = '20M/100M' WHERE username = ? AND attribute = 'Mikrotik-Rate-Limit'`,
      [session.username],
    );
    await radclientCoa(target, [
      `User-Name = "${session.username}"`,
      `Acct-Session-Id = "${session.acctsessionid}"`,
      'Mikrotik-Rate-Limit = "20M/100M"',
    ]);
    taken.push(performance.now() - startedAt);
  }
  return taken;
}

function sessionsOf(app: App, payers: readonly SubscriberId[]) {
  return app
    .db('radacct')
    .whereIn(
      'username',
      payers.map((id) => `u${id}`),
    )
    .select<{ username: string; acctsessionid: string; nasipaddress: string }[]>(
      'username',
      'acctsessionid',
      'nasipaddress',
    );
}
