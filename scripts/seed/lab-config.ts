import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import type { Knex } from 'knex';
import type { Vault } from '../../src/adapters/vault.ts';
import { findLiveRouter, type RouterRow, routerSecretPlace } from '../../src/db/routers.ts';
import { numberToIpv4 } from '../../src/domain/ip.ts';
import type { LabConfigInput } from '../lab/config.ts';
import type { Person } from './cast.ts';
import { routers } from './catalogue.ts';

/** Writes what the lab reads: routers with their secrets, subscribers with their passwords, so only we may read it. */
export async function writeLabConfig(
  file: string,
  parts: { db: Knex; vault: Vault; cast: readonly Person[]; env: NodeJS.ProcessEnv },
): Promise<void> {
  const { env } = parts;
  const retired = new Set(await parts.db('login').whereNotNull('retired_at').pluck<string[]>('username'));
  const config: LabConfigInput = {
    control: { port: portOf(env, 'SLUICE_LAB_PORT', 18080) },
    authServer: { address: '127.0.0.1', port: portOf(env, 'SLUICE_RADIUS_AUTH_PORT', 1812) },
    acctServer: { address: '127.0.0.1', port: portOf(env, 'SLUICE_RADIUS_ACCT_PORT', 1813) },
    routers: await labRouters(parts.db, parts.vault),
    subscribers: parts.cast.map((person) => ({
      username: person.username,
      password: person.typedPassword ?? person.password,
      router: person.router,
      mac: person.typedMac ?? person.mac,
      method: person.method,
      usage: 0.2 + (person.number % 7) / 10,
      // Who has gone for good has unplugged the router, unless they have a part to play.
      dialAtStart: person.state !== undefined || !retired.has(person.username),
    })),
    redialSeconds: [5, 60],
  };
  // Beside and renamed: a start that is killed here leaves the old file or the new one, whole.
  writeFileSync(`${file}.new`, `${JSON.stringify(config, null, 1)}\n`, { mode: 0o600 });
  chmodSync(`${file}.new`, 0o600);
  renameSync(`${file}.new`, file);
}

function portOf(env: NodeJS.ProcessEnv, name: string, otherwise: number): number {
  return Number(env[name] ?? otherwise);
}

async function labRouters(db: Knex, vault: Vault): Promise<LabConfigInput['routers']> {
  const found = await Promise.all(routers.map((router) => findLiveRouter(db, router.name)));
  return Promise.all(
    found
      .filter((router): router is RouterRow => router !== undefined)
      .map(async (router) => ({
        name: router.name,
        address: router.address,
        secret: vault.open(routerSecretPlace(router.id), router.sealedSecret),
        coaPort: router.coaPort,
        pools: await poolsOf(db, router.id),
        profiles: { 'sluice-pppoe': {} },
      })),
  );
}

async function poolsOf(db: Knex, routerId: string): Promise<Record<string, [string, string]>> {
  const rows = await db('ipv4_pool_range as r')
    .join('ipv4_pool as p', 'p.id', 'r.pool_id')
    .where('r.router_id', routerId)
    .select<Record<string, string>[]>('p.name', 'p.suspended_name', 'r.*');
  const pairs = rows.flatMap((row): [string, [string, string]][] => [
    [row['name'] ?? '', range(row['first_address'], row['last_address'])],
    [row['suspended_name'] ?? '', range(row['suspended_first_address'], row['suspended_last_address'])],
  ]);
  return Object.fromEntries(pairs);
}

function range(first: string | undefined, last: string | undefined): [string, string] {
  return [numberToIpv4(Number(first)), numberToIpv4(Number(last))];
}
