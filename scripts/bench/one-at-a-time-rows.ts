import type { Vault } from '../../src/adapters/vault.ts';
import { systemClock } from '../../src/clock.ts';
import { sqlInstant } from '../../src/db/knex.ts';
import { type AccessDecision, decideAccess } from '../../src/domain/access.ts';
import type { ExpiryEffect, SuspensionCause, SuspensionEffect } from '../../src/domain/access-types.ts';
import type { LoginId } from '../../src/domain/ids.ts';
import {
  type Projection,
  project,
  type RadiusFacts,
  type RadiusRow,
  type RadiusSettings,
} from '../../src/domain/radius-attributes.ts';
import { formatRateLimit, parseRateLimit, type RateLimit } from '../../src/domain/rate-limit.ts';
import type { SingleRows } from './single-rows.ts';

/** What a login was given. */
export interface Given {
  readonly facts: RadiusFacts;
  readonly decision: AccessDecision;
  readonly projection: Projection;
  readonly generation: string;
}

/** Decides logins one by one, by the product's own rules, and writes their rows one by one. */
export class RowsOneAtATime {
  readonly #db: SingleRows;
  readonly #vault: Vault;
  readonly #settings: RadiusSettings;

  constructor(parts: { db: SingleRows; vault: Vault; settings: RadiusSettings }) {
    this.#db = parts.db;
    this.#vault = parts.vault;
    this.#settings = parts.settings;
  }

  /** Decides the login of a subscription and writes each row that differs. */
  async write(subscriptionId: string): Promise<Given> {
    const facts = await this.#facts(subscriptionId);
    const decision = decideAccess(facts, systemClock.now());
    const password = this.#vault.open(`login.secret:${facts.loginId}`, facts.secret);
    const projection = project(facts, decision, password, this.#settings);
    await this.#align('radcheck', facts.username, projection.check);
    await this.#align('radreply', facts.username, projection.reply);
    const generation = await this.#decide(facts.loginId, decision, projection);
    return { facts, decision, projection, generation };
  }

  async #facts(subscriptionId: string): Promise<RadiusFacts & { secret: Buffer }> {
    const [row] = await this.#db.all<LoginRow>(
      `SELECT l.id, l.username, l.secret, l.mac_lock, l.static_ipv4, l.delegated_ipv6_prefix, l.simultaneous_use,
         n.state, n.expiry_effect, m.rate_limit, m.ipv6_pool, m.delegated_ipv6_pool, m.interim_seconds,
         m.address_list, f.name AS profile_name, v.name AS pool_name, v.suspended_name,
         COALESCE(m.session_timeout_seconds, f.session_timeout_seconds) AS session_timeout_seconds,
         COALESCE(m.idle_timeout_seconds, f.idle_timeout_seconds) AS idle_timeout_seconds
       FROM login l JOIN subscription n ON n.id = l.subscription_id JOIN package p ON p.id = n.package_id
       JOIN master_package m ON m.id = p.master_package_id LEFT JOIN ppp_profile f ON f.id = m.ppp_profile_id
       LEFT JOIN ipv4_pool v ON v.id = COALESCE(m.pool_id, f.pool_id)
       WHERE l.subscription_id = ? AND l.retired_at IS NULL`,
      [subscriptionId],
    );
    if (row === undefined) throw new Error(`subscription ${subscriptionId} has no login`);
    const suspensions = await this.#db.all<SuspensionRow>(
      'SELECT cause, effect, throttle_rate FROM suspension WHERE subscription_id = ? AND open_cause IS NOT NULL',
      [subscriptionId],
    );
    return {
      loginId: row.id,
      username: row.username,
      secret: row.secret,
      retiredAt: null,
      subscriptionState: row.state,
      validUntil: null,
      expiryEffect: row.expiry_effect,
      expiryRate: null,
      openSuspensions: suspensions.map(({ cause, effect, throttle_rate: rate }) => ({
        cause,
        effect,
        throttleRate: rateOf(rate),
      })),
      packageRate: rateOf(row.rate_limit),
      macLock: row.mac_lock,
      staticIpv4: row.static_ipv4,
      delegatedIpv6Prefix: row.delegated_ipv6_prefix,
      simultaneousUse: row.simultaneous_use,
      pppProfile: row.profile_name,
      pool: row.pool_name === null ? null : { name: row.pool_name, suspendedName: row.suspended_name ?? '' },
      ipv6Pool: row.ipv6_pool,
      delegatedIpv6Pool: row.delegated_ipv6_pool,
      sessionTimeoutSeconds: row.session_timeout_seconds,
      idleTimeoutSeconds: row.idle_timeout_seconds,
      interimSeconds: row.interim_seconds,
      addressList: row.address_list,
    };
  }

  async #align(
    table: 'radcheck' | 'radreply',
    username: string,
    wanted: readonly RadiusRow[],
  ): Promise<void> {
    const there = await this.#db.all<{ attribute: string; value: string; ordinal: number }>(
      `SELECT attribute, value, ordinal FROM ${table} WHERE username = ?`,
      [username],
    );
    for (const row of wanted) {
      if (there.some((one) => one.attribute === row.attribute && one.value === row.value)) continue;
      await this.#db.run(
        `INSERT INTO ${table} (username, attribute, op, value, ordinal) VALUES (?, ?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE op = VALUES(op), value = VALUES(value)`,
        [username, row.attribute, row.op, row.value, row.ordinal],
      );
    }
    for (const row of there) {
      if (wanted.some((one) => one.attribute === row.attribute)) continue;
      await this.#db.run(`DELETE FROM ${table} WHERE username = ? AND attribute = ? AND ordinal = ?`, [
        username,
        row.attribute,
        row.ordinal,
      ]);
    }
  }

  async #decide(
    loginId: LoginId,
    { access, reason }: AccessDecision,
    projection: Projection,
  ): Promise<string> {
    const [before] = await this.#db.all<{ access: string; generation: string }>(
      'SELECT access, generation FROM access_decision WHERE login_id = ?',
      [loginId],
    );
    const generation = String(BigInt(before?.generation ?? 0) + 1n);
    const at = sqlInstant(systemClock.now());
    const rate = access.kind === 'throttled' ? formatRateLimit(access.rate) : null;
    await this.#db.run(
      `INSERT INTO access_decision (login_id, access, reason, rate_limit, generation, access_fingerprint,
         redial_fingerprint, coa_attributes, decided_at, requested_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON DUPLICATE KEY UPDATE access = VALUES(access), reason = VALUES(reason), rate_limit = VALUES(rate_limit),
         generation = VALUES(generation), access_fingerprint = VALUES(access_fingerprint),
         redial_fingerprint = VALUES(redial_fingerprint), coa_attributes = VALUES(coa_attributes),
         decided_at = VALUES(decided_at), requested_by = VALUES(requested_by)`,
      [
        loginId,
        access.kind,
        reason,
        rate,
        generation,
        projection.accessFingerprint,
        projection.redialFingerprint,
        JSON.stringify(projection.coaAttributes),
        at,
        'loop',
      ],
    );
    await this.#db.run(
      `INSERT INTO access_change (login_id, at, from_access, to_access, reason, generation, requested_by)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      [loginId, at, before?.access ?? null, access.kind, reason, generation, 'loop'],
    );
    return generation;
  }
}

function rateOf(text: string | null): RateLimit | null {
  return text === null || text === '' ? null : parseRateLimit(text);
}

interface LoginRow {
  id: LoginId;
  username: string;
  secret: Buffer;
  mac_lock: string | null;
  static_ipv4: string | null;
  delegated_ipv6_prefix: string | null;
  simultaneous_use: number;
  state: 'active' | 'paused' | 'terminated';
  expiry_effect: ExpiryEffect;
  rate_limit: string | null;
  ipv6_pool: string | null;
  delegated_ipv6_pool: string | null;
  interim_seconds: number;
  address_list: string | null;
  profile_name: string | null;
  pool_name: string | null;
  suspended_name: string | null;
  session_timeout_seconds: number | null;
  idle_timeout_seconds: number | null;
}

interface SuspensionRow {
  cause: SuspensionCause;
  effect: SuspensionEffect;
  throttle_rate: string | null;
}
