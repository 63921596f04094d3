import type { Vault } from '../adapters/vault.ts';
import { type RowView, radiusRowViews } from '../db/access-view.ts';
import { loginFacts } from '../db/account-facts.ts';
import type { Db } from '../db/knex.ts';
import { readSettings } from '../db/settings.ts';
import { type AccessDecision, decideAccess, hasRadiusRows } from '../domain/access.ts';
import type { LoginId } from '../domain/ids.ts';
import { project, radiusSettingsOf } from '../domain/radius-attributes.ts';

/** One row as it is and as it should be; secrets are masked, and a difference between two secrets still shows. */
export interface RowComparison {
  table: RowView['table'];
  attribute: string;
  desired: string | null;
  actual: string | null;
  isRight: boolean;
}

export type LoginLook =
  | {
      ok: true;
      decision: AccessDecision;
      rows: RowComparison[];
      accessFingerprint: string;
      redialFingerprint: string;
    }
  | { ok: false; error: string };

/**
 * The decision that facts and clock give at this moment, and the rows that follow from it beside those that are there:
 * the path of reconcile/login.ts, only looking.
 */
export async function lookAtLogin(
  parts: { db: Db; vault: Vault; now: Date },
  login: { id: LoginId; username: string },
): Promise<LoginLook> {
  const found = (await loginFacts(parts.db, [login.id])).get(login.id);
  if (found === undefined) return { ok: false, error: 'the login is gone' };
  if (!found.ok) return { ok: false, error: found.error };
  const { facts } = found;
  const decision = decideAccess(facts, parts.now);
  try {
    const settings = radiusSettingsOf(await readSettings(parts.db));
    const projection = project(facts, decision, openSecret(parts.vault, facts), settings);
    const isKnown = hasRadiusRows(facts, parts.now);
    const desired: RowView[] = [
      ...(isKnown ? projection.check : []).map((row) => ({ table: 'radcheck' as const, ...row })),
      ...(isKnown ? projection.reply : []).map((row) => ({ table: 'radreply' as const, ...row })),
    ];
    const actual = await radiusRowViews(parts.db, login.username);
    return {
      ok: true,
      decision,
      rows: compare(desired, actual),
      accessFingerprint: projection.accessFingerprint,
      redialFingerprint: projection.redialFingerprint,
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { ok: false, error: error.message };
  }
}

function openSecret(vault: Vault, facts: { loginId: LoginId; secret: Buffer }): string {
  try {
    return vault.open(`login.secret:${facts.loginId}`, facts.secret);
  } catch {
    throw new RangeError('the password does not open with the keys that are configured: set it again');
  }
}

/** Desired rows in their order, then what is there and should not be. */
function compare(desired: readonly RowView[], actual: readonly RowView[]): RowComparison[] {
  const keyOf = (row: RowView) => `${row.table} ${row.attribute} ${row.ordinal}`;
  const present = new Map(actual.map((row) => [keyOf(row), row]));
  const rows = desired.map((want): RowComparison => {
    const have = present.get(keyOf(want));
    present.delete(keyOf(want));
    const isRight = have?.value === want.value && have.op === want.op;
    return { ...shown(want, want.value, have?.value), isRight };
  });
  const surplus = [...present.values()].map((have): RowComparison => {
    return { ...shown(have, undefined, have.value), isRight: false };
  });
  return [...rows, ...surplus];
}

function shown(
  row: RowView,
  desired: string | undefined,
  actual: string | undefined,
): Omit<RowComparison, 'isRight'> {
  const mask = (value: string | undefined) => {
    if (value === undefined) return null;
    return row.attribute.endsWith('Password') ? '(hidden)' : value;
  };
  return { table: row.table, attribute: row.attribute, desired: mask(desired), actual: mask(actual) };
}
