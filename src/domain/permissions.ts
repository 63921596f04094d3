/** Every permission by name. A route names the one it needs; nothing is allowed because of a role's name. */
export const permissions = [
  'dashboard.view',
  'subscriber.view',
  'subscriber.edit',
  'subscriber.import',
  'subscriber.hold',
  'login.test',
  'session.view',
  'session.kick',
  'router.view',
  'router.edit',
  'attention.view',
  'attention.act',
  'invoice.view',
  'invoice.edit',
  'payment.view',
  'payment.take',
  'payment.reverse',
  'promise.make',
  'run.view',
  'run.plan',
  'run.approve',
  'run.apply',
  'run.roll_back',
  'ledger.view',
  'ledger.check',
  'catalog.view',
  'catalog.edit',
  'billing_profile.edit',
  'settings.view',
  'settings.edit',
  'staff.view',
  'staff.edit',
  'activity.view',
] as const;

export type Permission = (typeof permissions)[number];

export const staffRoles = ['owner', 'noc', 'finance', 'read_only'] as const;
export type StaffRole = (typeof staffRoles)[number];

const noc: readonly Permission[] = [
  'dashboard.view',
  'subscriber.view',
  'subscriber.edit',
  'subscriber.import',
  'subscriber.hold',
  'login.test',
  'session.view',
  'session.kick',
  'router.view',
  'router.edit',
  'attention.view',
  'attention.act',
  'invoice.view',
  'run.view',
  'catalog.view',
  'activity.view',
];

const finance: readonly Permission[] = [
  'dashboard.view',
  'subscriber.view',
  'subscriber.edit',
  'subscriber.import',
  'subscriber.hold',
  'session.view',
  'router.view',
  'attention.view',
  'invoice.view',
  'invoice.edit',
  'payment.view',
  'payment.take',
  'payment.reverse',
  'promise.make',
  'run.view',
  'run.plan',
  'run.approve',
  'run.apply',
  'run.roll_back',
  'ledger.view',
  'ledger.check',
  'catalog.view',
  'billing_profile.edit',
  'settings.view',
  'activity.view',
];

const byRole: Record<StaffRole, ReadonlySet<Permission>> = {
  owner: new Set(permissions),
  noc: new Set(noc),
  finance: new Set(finance),
  // Sees what the desk sees, changes nothing; the staff list and settings are not its business.
  read_only: new Set(
    permissions.filter((name) => name.endsWith('.view') && name !== 'staff.view' && name !== 'settings.view'),
  ),
};

export function may(role: StaffRole, permission: Permission): boolean {
  return byRole[role].has(permission);
}

export const roleNames: Record<StaffRole, string> = {
  owner: 'Owner',
  noc: 'NOC',
  finance: 'Finance',
  read_only: 'Read only',
};
