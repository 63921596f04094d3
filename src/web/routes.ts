import { accountRoutes } from './pages/account.ts';
import { attentionRoutes } from './pages/attention.ts';
import { billingProfileRoutes } from './pages/billing-profiles.ts';
import { dashboardRoutes } from './pages/dashboard.ts';
import { invoiceRoutes } from './pages/invoices.ts';
import { invoiceRunRoutes } from './pages/invoice-runs.ts';
import { ledgerRoutes } from './pages/ledger.ts';
import { masterPackageRoutes } from './pages/master-packages.ts';
import { packageRoutes } from './pages/packages.ts';
import { poolRoutes } from './pages/pools.ts';
import { pppProfileRoutes } from './pages/ppp-profiles.ts';
import { taxRateRoutes } from './pages/tax-rates.ts';
import { paymentRoutes } from './pages/payments.ts';
import { routerRoutes } from './pages/routers.ts';
import { runRoutes } from './pages/run.ts';
import { runsRoutes } from './pages/runs.ts';
import { bulkRoutes } from './pages/bulk.ts';
import { importRoutes } from './pages/imports.ts';
import { searchRoutes } from './pages/search.ts';
import { sessionHistoryRoutes } from './pages/session-history.ts';
import { sessionRoutes } from './pages/sessions.ts';
import { settingRoutes } from './pages/settings.ts';
import { staffRoutes } from './pages/staff.ts';
import { activityRoutes } from './pages/activity.ts';
import { signInRoutes } from './pages/sign-in.ts';
import { subscriberRoutes } from './pages/subscriber.ts';
import { subscriberActRoutes } from './pages/subscriber-acts.ts';
import { subscriberFormRoutes } from './pages/subscriber-form.ts';
import { subscriberListRoutes } from './pages/subscriber-list.ts';
import { subscriberLoginRoutes } from './pages/subscriber-logins.ts';
import { whyRoutes } from './pages/why.ts';
import type { Route } from './route.ts';

/** Every route there is. */
export const routes: readonly Route[] = [
  ...signInRoutes,
  ...accountRoutes,
  ...dashboardRoutes,
  ...searchRoutes,
  ...attentionRoutes,
  ...sessionHistoryRoutes,
  ...sessionRoutes,
  ...routerRoutes,
  ...runsRoutes,
  ...runRoutes,
  ...invoiceRunRoutes,
  ...invoiceRoutes,
  ...paymentRoutes,
  ...ledgerRoutes,
  ...activityRoutes,
  ...staffRoutes,
  ...settingRoutes,
  ...taxRateRoutes,
  ...pppProfileRoutes,
  ...poolRoutes,
  ...packageRoutes,
  ...masterPackageRoutes,
  ...billingProfileRoutes,
  ...subscriberListRoutes,
  ...bulkRoutes,
  ...importRoutes,
  ...subscriberFormRoutes,
  // Behind whatever else begins with /subscribers: here the rest of the path is somebody's number.
  ...subscriberRoutes,
  ...subscriberActRoutes,
  ...subscriberLoginRoutes,
  ...whyRoutes,
];
