import type { OperatorSettings } from '../db/settings.ts';

export type SettingName = keyof OperatorSettings;

/** Whom a change reaches: nobody, live sessions as they run, live sessions by a redial, or the daily runs. */
export type SettingReach = 'none' | 'live' | 'redial' | 'runs' | 'zone' | 'fixed';

export interface SettingWords {
  label: string;
  meaning: string;
  unit: string;
  reach: SettingReach;
}

/** What each setting means to the people who may change it. */
export const settingWords: Record<SettingName, SettingWords> = {
  zone: {
    label: 'Time zone',
    meaning:
      'Where days begin and end: due days, periods, the hours of the runs, and every time on these pages.',
    unit: 'IANA name, such as Asia/Dhaka',
    reach: 'zone',
  },
  currency: {
    label: 'Currency',
    meaning: 'Of every price, document and account. Fixed once anything was posted.',
    unit: 'three capital letters',
    reach: 'fixed',
  },
  exponent: {
    label: 'Decimals of the currency',
    meaning: 'How many digits stand behind the point. Fixed once anything was posted.',
    unit: '0, 2 or 3 digits',
    reach: 'fixed',
  },
  invoiceSeries: {
    label: 'Invoice series',
    meaning:
      'Stands before the number of each new invoice; a new series begins at 1. Credit notes have it with -CN.',
    unit: 'at most 16 letters, digits, dots, _ or -',
    reach: 'none',
  },
  portRate: {
    label: 'Port rate',
    meaning: 'What “unlimited” means to a router: a rate of its own, because a CoA cannot take a limit away.',
    unit: 'upload/download, such as 1000M/1000M',
    reach: 'live',
  },
  walledGardenRate: {
    label: 'Speed in the walled garden',
    meaning: 'For who may only see the pages that say how to pay.',
    unit: 'upload/download, such as 256k/256k',
    reach: 'live',
  },
  walledGardenList: {
    label: 'Address list of the walled garden',
    meaning: 'Firewall list that the routers put a walled-off address on.',
    unit: 'name on the routers',
    reach: 'redial',
  },
  deniedRate: {
    label: 'Speed when denied',
    meaning: 'A denied login is refused; should one ever slip through, this is all that it gets.',
    unit: 'upload/download, such as 64k/64k',
    reach: 'live',
  },
  deniedList: {
    label: 'Address list when denied',
    meaning: 'Firewall list for the same case.',
    unit: 'name on the routers',
    reach: 'redial',
  },
  fullList: {
    label: 'Address list of full access',
    meaning: 'Firewall list of a login with full access whose master package names none.',
    unit: 'name on the routers',
    reach: 'redial',
  },
  walledGardenIpv6Pool: {
    label: 'IPv6 pool of the walled garden',
    meaning:
      'A pool on the routers whose IPv6 prefixes lead nowhere: without it, IPv6 would be open internet.',
    unit: 'name on the routers',
    reach: 'redial',
  },
  deferralDays: {
    label: 'Days of peace after a lift',
    meaning: 'For so long after a lift or a rollback the overdue run leaves a subscription alone.',
    unit: 'days, 1 to 365',
    reach: 'none',
  },
  overdueLimitPermille: {
    label: 'Share that holds an overdue run',
    meaning:
      'A run that would suspend more than this share of active subscriptions waits for a second person…',
    unit: 'of 1000, 1 to 1000: 100 is 10 %',
    reach: 'none',
  },
  overdueLimitCount: {
    label: 'Number that holds an overdue run',
    meaning: '…if it would also suspend more than so many.',
    unit: 'subscriptions, 1 to 1,000,000',
    reach: 'none',
  },
  invoiceRunAt: {
    label: 'Hour of the invoice run',
    meaning: 'When each day’s invoices are issued.',
    unit: 'HH:MM in the operator’s zone',
    reach: 'runs',
  },
  overdueRunAt: {
    label: 'Hour of the overdue run',
    meaning: 'When each day’s overdue run begins. A working hour, so that somebody is there.',
    unit: 'HH:MM in the operator’s zone',
    reach: 'runs',
  },
};

export const settingGroups: readonly { title: string; names: readonly SettingName[] }[] = [
  { title: 'Days and money', names: ['zone', 'currency', 'exponent', 'invoiceSeries'] },
  {
    title: 'Overdue and daily runs',
    names: ['invoiceRunAt', 'overdueRunAt', 'deferralDays', 'overdueLimitPermille', 'overdueLimitCount'],
  },
  {
    title: 'Network',
    names: [
      'portRate',
      'fullList',
      'walledGardenRate',
      'walledGardenList',
      'walledGardenIpv6Pool',
      'deniedRate',
      'deniedList',
    ],
  },
];

/** What saving will do, to how many. */
export function reachText(reach: SettingReach, logins: string): string {
  switch (reach) {
    case 'none':
      return 'Counts from now on; nothing that is done already changes.';
    case 'fixed':
      return 'Can be changed until the first invoice or payment is posted, and then never.';
    case 'runs':
      return 'The next run comes due at the new hour. Nothing is run twice.';
    case 'zone':
      return 'Days begin at another instant from now on: due days keep their date, and the next runs come due at their hour in the new zone.';
    case 'live':
      return `Every login is looked at again (${logins}). Those whose speed changes by it get the new one while they are online, a router at its own pace.`;
    case 'redial':
      return `Every login is looked at again (${logins}). Live sessions that have the old name are ended once and dial again, a router at its own pace. Make sure that the routers know the new name first.`;
  }
}
