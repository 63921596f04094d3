import type { Knex } from 'knex';
import { sqlInstant } from '../../../src/db/knex.ts';
import { diceFor } from '../../seed/random.ts';
import { rubbish } from '../texts.ts';

/** What routers have written, who may write anything: sessions, rejects, errors and strangers with odd names. */
export async function addTraffic(db: Knex, now: Date): Promise<void> {
  const logins = await db('login').select<{ username: string; id: string }[]>('username', 'id').limit(40);
  const routers = await db('router').select<{ id: string; address: string }[]>('id', 'address');
  const dice = diceFor('traffic');
  const text = (max: number) => [...rubbish(dice)].slice(0, max).join('');
  const at = (secondsAgo: number) => sqlInstant(new Date(now.getTime() - secondsAgo * 1000));
  const sessions = Array.from({ length: 160 }, (_, index) => {
    const login = logins[index % logins.length];
    const router = routers[index % routers.length];
    const isOpen = index % 2 === 0;
    return {
      acctuniqueid: index.toString(16).padStart(32, '0'),
      acctsessionid: text(64),
      username: index % 5 === 4 ? text(64) : (login?.username ?? ''),
      nasipaddress: router?.address ?? '',
      nasportid: text(64),
      acctstarttime: at(index * 500 + 400),
      acctupdatetime: at(index * 400 + 10),
      acctstoptime: isOpen ? null : at(index * 400 + 5),
      acctsessiontime: dice.pick([0, 60, 4294967295]),
      acctinputoctets: dice.pick(['0', '9223372036854775807', '123456']),
      acctoutputoctets: dice.pick(['0', '9223372036854775807', '123456']),
      calledstationid: text(64),
      callingstationid:
        index % 7 === 6
          ? text(50)
          : `02:5A:00:00:00:${(index % 256).toString(16).toUpperCase().padStart(2, '0')}`,
      acctterminatecause: isOpen ? '' : dice.pick(['User-Request', 'Lost-Carrier', text(32)]),
      framedipaddress: dice.pick(['', '0.0.0.0', '255.255.255.255', `10.64.0.${index + 1}`]),
      framedipv6prefix: text(45),
      class:
        index % 3 === 0 ? text(128) : `S1.${login?.id ?? '1'}.${'a'.repeat(10)}.${'b'.repeat(10)}.x${index}`,
      router_id: router?.id ?? null,
      claimed_nas_address: text(45),
      stop_seen: !isOpen,
    };
  });
  await db('radacct').insert(sessions);
  const rejects = Array.from({ length: 60 }, (_, index) => ({
    username: index % 2 === 0 ? (logins[index % logins.length]?.username ?? '') : text(64),
    reply: 'Access-Reject',
    authdate: at(index * 120),
    reason: index % 3 === 0 ? text(40) : 'wrong_password',
    callingstationid: text(50),
    router_id: routers[index % routers.length]?.id ?? null,
    nasipaddress: routers[index % routers.length]?.address ?? '',
    minute: index,
    slot: `slot ${index}`,
  }));
  await db('radpostauth').insert(rejects);
  await addTroubles(db, text, at);
}

async function addTroubles(
  db: Knex,
  text: (max: number) => string,
  at: (secondsAgo: number) => string,
): Promise<void> {
  await db('reconcile_queue')
    .insert(
      Array.from({ length: 12 }, (_, index) => ({
        kind: (['login', 'session', 'router'] as const)[index % 3] ?? 'login',
        key: index + 1,
        version: index + 1,
        not_before: at(60),
        attempts: 9,
        is_parked: true,
        requested_by: text(64),
        requested_at: at(600),
        last_error: text(190),
      })),
    )
    .onConflict()
    .ignore();
  await db('enforcement').insert(
    Array.from({ length: 30 }, (_, index) => ({
      radacctid: index + 1,
      login_id: index + 1,
      router_id: 1,
      action: index % 2 === 0 ? 'coa' : 'disconnect',
      why: 'invoice_overdue',
      generation: 1,
      access_fingerprint: 'a'.repeat(10),
      redial_fingerprint: 'b'.repeat(10),
      attributes: JSON.stringify([['Mikrotik-Rate-Limit', text(60)]]),
      requested_by: text(64),
      requested_at: at(index * 60),
      sent_at: at(index * 60),
      outcome: (['ack', 'nak', 'timeout', 'pending'] as const)[index % 4] ?? 'ack',
      detail: text(120),
      error_cause: index % 4 === 1 ? 65535 : null,
    })),
  );
  await db('unknown_client').insert(
    Array.from({ length: 5 }, (_, index) => ({
      host: text(60),
      address: `192.0.2.${index}`,
      first_seen_at: at(5000),
      last_seen_at: at(50),
      packets: '18446744073709551615',
    })),
  );
}
