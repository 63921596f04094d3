import { type App } from '../../src/app.ts';
import { findStaff } from '../../src/db/staff.ts';
import { staffRoles } from '../../src/domain/permissions.ts';
import { addStaff } from '../../src/staff/manage-staff.ts';

const names = {
  owner: 'Rina Das',
  noc: 'Tomas Weber',
  finance: 'Amina Rahman',
  read_only: 'Visitor',
} as const;

/** One person a role for the demo, all with the demo's own password. Made again, nothing changes. */
export async function seedDemoStaff(
  app: App,
  password: string,
): Promise<{ username: string; role: string }[]> {
  const ctx = app.context('demo');
  const made = [];
  for (const role of staffRoles) {
    const username = role === 'read_only' ? 'readonly' : role;
    const known = await findStaff(app.db, { username });
    if (known === undefined) await addStaff(ctx, { username, name: names[role], role, password });
    made.push({ username, role });
  }
  return made;
}
