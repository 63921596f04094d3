import type { Verb } from './verb.ts';
import { access } from './verbs/access.ts';
import * as catalog from './verbs/catalog.ts';
import { doctor } from './verbs/doctor.ts';
import { hold } from './verbs/hold.ts';
import { invoiceRun } from './verbs/invoice-run.ts';
import { kick } from './verbs/kick.ts';
import { ledgerBalance, ledgerCheck } from './verbs/ledger.ts';
import { lift } from './verbs/lift.ts';
import { migrate } from './verbs/migrate.ts';
import { needsAttention } from './verbs/needs-attention.ts';
import { overdueRun } from './verbs/overdue-run.ts';
import { overdueRunList, overdueRunShow } from './verbs/overdue-run-show.ts';
import { pay, payReverse } from './verbs/pay.ts';
import { promise } from './verbs/promise.ts';
import { reconcile } from './verbs/reconcile.ts';
import * as router from './verbs/router.ts';
import { settingsSet, settingsShow } from './verbs/settings.ts';
import * as staff from './verbs/staff.ts';
import { subscriberAdd } from './verbs/subscriber-add.ts';
import * as change from './verbs/subscriber-change.ts';
import { subscriberFind } from './verbs/subscriber-find.ts';
import { subscriberShow } from './verbs/subscriber-show.ts';
import { watch } from './verbs/watch.ts';

/** Every verb, in the order in which the help lists them within their groups. */
export const verbs: readonly Verb[] = [
  subscriberAdd,
  subscriberFind,
  subscriberShow,
  change.subscriberPackage,
  change.subscriberSet,
  change.subscriberTerminate,
  access,
  hold,
  lift,
  kick,
  reconcile,
  invoiceRun,
  pay,
  payReverse,
  promise,
  overdueRun,
  overdueRunList,
  overdueRunShow,
  ledgerCheck,
  ledgerBalance,
  catalog.packageList,
  catalog.packageAdd,
  catalog.masterPackageAdd,
  catalog.masterPackageSet,
  catalog.billingProfileList,
  catalog.billingProfileAdd,
  catalog.taxRateAdd,
  catalog.poolAdd,
  router.routerList,
  router.routerAdd,
  router.routerSet,
  router.routerRemove,
  doctor,
  watch,
  needsAttention,
  settingsShow,
  settingsSet,
  staff.staffList,
  staff.staffAdd,
  staff.staffPassword,
  staff.setupCode,
  migrate,
];
