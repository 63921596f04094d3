import { may, type Permission, type StaffRole } from '../domain/permissions.ts';

export interface NavigationGroup {
  label: string;
  items: readonly { label: string; href: string; icon: string; isHere: boolean }[];
}

/** The rail, by area. Only what works is listed, and only what the person may see. */
const rail: readonly {
  label: string;
  items: readonly {
    label: string;
    href: string;
    icon: string;
    needs: Permission;
    /** Where else its pages are. */
    also?: readonly string[];
  }[];
}[] = [
  {
    label: 'NOC',
    items: [
      { label: 'Dashboard', href: '/', icon: 'speedometer', needs: 'dashboard.view' },
      {
        label: 'Subscribers',
        href: '/subscribers',
        icon: 'people',
        needs: 'subscriber.view',
        also: ['/bulk', '/imports'],
      },
      { label: 'Why offline?', href: '/why', icon: 'question-diamond', needs: 'subscriber.view' },
      { label: 'Sessions', href: '/sessions', icon: 'broadcast', needs: 'session.view' },
      { label: 'Routers', href: '/routers', icon: 'router', needs: 'router.view' },
      { label: 'IPv4 pools', href: '/pools', icon: 'diagram-3', needs: 'catalog.view' },
      { label: 'PPP profiles', href: '/ppp-profiles', icon: 'card-list', needs: 'catalog.view' },
      { label: 'Needs attention', href: '/attention', icon: 'exclamation-diamond', needs: 'attention.view' },
    ],
  },
  {
    label: 'Finance',
    items: [
      { label: 'Invoices', href: '/invoices', icon: 'receipt', needs: 'invoice.view' },
      { label: 'Payments', href: '/payments', icon: 'cash-coin', needs: 'payment.view' },
      { label: 'Invoice runs', href: '/invoice-runs', icon: 'calendar-plus', needs: 'invoice.view' },
      { label: 'Overdue runs', href: '/runs', icon: 'calendar-x', needs: 'run.view' },
      { label: 'Ledger', href: '/ledger', icon: 'journal-text', needs: 'ledger.view' },
    ],
  },
  {
    label: 'Catalogue',
    items: [
      { label: 'Packages', href: '/packages', icon: 'box', needs: 'catalog.view' },
      { label: 'Master packages', href: '/master-packages', icon: 'boxes', needs: 'catalog.view' },
      { label: 'Billing profiles', href: '/billing-profiles', icon: 'sliders', needs: 'catalog.view' },
      { label: 'Tax', href: '/tax-rates', icon: 'percent', needs: 'catalog.view' },
    ],
  },
  {
    label: 'Admin',
    items: [
      { label: 'Staff', href: '/staff', icon: 'person-badge', needs: 'staff.view' },
      { label: 'Settings', href: '/settings', icon: 'gear', needs: 'settings.view' },
      { label: 'Activity log', href: '/activity', icon: 'clock-history', needs: 'activity.view' },
    ],
  },
];

export function navigationFor(role: StaffRole, path: string): NavigationGroup[] {
  return rail
    .map((group) => ({
      label: group.label,
      items: group.items
        .filter((item) => may(role, item.needs))
        .map(({ label, href, icon, also = [] }) => ({
          label,
          href,
          icon,
          isHere: [href, ...also].some((one) => isBelow(path, one)),
        })),
    }))
    .filter((group) => group.items.length > 0);
}

function isBelow(path: string, href: string): boolean {
  return href === '/' ? path === '/' : path === href || path.startsWith(`${href}/`);
}
