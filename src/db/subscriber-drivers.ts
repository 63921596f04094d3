import type { Day } from '../domain/day.ts';

/** Which subscribers a list shows. Everything that is given must be true of them. */
export interface SubscriberFilter {
  readonly state: SubscriberState | null;
  /** Of each group one has to be the beginning of a term: see domain/search-terms.ts. */
  readonly prefixes: readonly (readonly string[])[];
  readonly packageId: string | null;
  readonly profileId: string | null;
  /** Online on that router. */
  readonly routerId: string | null;
  /** The operator's day: what was due before it is overdue. */
  readonly today: Day;
}

export const subscriberStates = [
  'full',
  'throttled',
  'walled_garden',
  'denied',
  'overdue',
  'hold',
  'online',
] as const;
export type SubscriberState = (typeof subscriberStates)[number];

/** A part of a statement with its values. */
export interface Sql {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** One index that a list walks, in its order; what else is asked for is tested for each row. */
export interface Driver {
  /** The table that is walked, alone; its keys and `where` name nothing else. */
  readonly index: string;
  readonly from: string;
  readonly where: Sql;
  readonly keys: readonly string[];
  /** Nothing where a subscriber is met once by itself. */
  readonly isFirst: Sql | null;
  /** The part of the filter that the index answers. */
  readonly answers: 'text' | 'router' | 'state' | 'package' | 'profile' | 'nothing';
}

/** The index to walk: the scarcest of what is asked for. */
export function driverFor(filter: SubscriberFilter): Driver {
  if (filter.prefixes.length > 0) return textDriver(filter);
  if (filter.routerId !== null) return sessionDriver(filter.routerId);
  const { state } = filter;
  if (state === 'hold') return holdDriver();
  if (state === 'overdue') return overdueDriver(filter.today);
  if (state === 'denied' || state === 'walled_garden' || state === 'throttled') return accessDriver(state);
  if (filter.packageId !== null) return packageDriver(filter.packageId);
  if (filter.profileId !== null) {
    const where = { sql: 'b.billing_profile_id = ?', values: [filter.profileId] };
    const from = 'subscriber b FORCE INDEX (subscriber_profile)';
    return { index: from, from, where, keys: ['b.id'], isFirst: null, answers: 'profile' };
  }
  if (state === 'online') return sessionDriver(null);
  if (state === 'full') return accessDriver('full');
  const byName = 'subscriber b FORCE INDEX (subscriber_name)';
  return {
    index: byName,
    from: byName,
    // Always true: it makes of the whole index a range of it.
    where: { sql: `b.name >= ''`, values: [] },
    keys: ['b.name', 'b.id'],
    isFirst: null,
    answers: 'nothing',
  };
}

/** The longest group leads: it has the fewest terms. */
function leadingGroup(prefixes: SubscriberFilter['prefixes']): readonly string[] {
  const shortest = (group: readonly string[]) => Math.min(...group.map((prefix) => prefix.length));
  return [...prefixes].sort((a, b) => shortest(b) - shortest(a))[0] ?? [];
}

function likes(column: string, group: readonly string[]): Sql {
  const sql = group.map(() => `${column} LIKE ?`).join(' OR ');
  return { sql: `(${sql})`, values: group.map(startsWith) };
}

/** A LIKE pattern in which the text's own wildcards mean themselves. */
export function startsWith(text: string): string {
  return `${text.replaceAll(/[\\%_]/g, '\\$&')}%`;
}

function textDriver(filter: SubscriberFilter): Driver {
  const group = leadingGroup(filter.prefixes);
  const earlier = likes('e.term', group);
  const terms = 'subscriber_term t FORCE INDEX (PRIMARY)';
  return {
    index: terms,
    from: `${terms} JOIN subscriber b ON b.id = t.subscriber_id`,
    where: likes('t.term', group),
    keys: ['t.term', 't.subscriber_id'],
    isFirst: {
      sql: `(SELECT 1 FROM subscriber_term e FORCE INDEX (subscriber_term_of)
              WHERE e.subscriber_id = b.id AND e.term < t.term AND ${earlier.sql} LIMIT 1) IS NULL`,
      values: earlier.values,
    },
    answers: 'text',
  };
}

const toSubscriber = `JOIN subscription n ON n.id = l.subscription_id JOIN subscriber b ON b.id = n.subscriber_id`;
const loginsOf = `subscription rn JOIN login rl ON rl.subscription_id = rn.id`;

function sessionDriver(routerId: string | null): Driver {
  const on = (alias: string) => (routerId === null ? '' : ` AND ${alias}.router_id = ?`);
  const values = routerId === null ? [] : [routerId];
  const sessions = `radacct a FORCE INDEX (${routerId === null ? 'radacct_open' : 'radacct_router'})`;
  return {
    index: sessions,
    from: `${sessions} JOIN login l ON l.username = a.username ${toSubscriber}`,
    where: { sql: `a.acctstoptime IS NULL${on('a')}`, values },
    keys: ['a.radacctid'],
    isFirst: {
      sql: `(SELECT 1 FROM ${loginsOf} JOIN radacct ra FORCE INDEX (radacct_user) ON ra.username = rl.username
              WHERE rn.subscriber_id = b.id AND ra.acctstoptime IS NULL${on('ra')}
                AND ra.radacctid < a.radacctid LIMIT 1) IS NULL`,
      values,
    },
    answers: routerId === null ? 'state' : 'router',
  };
}

const holdCauses = `('fraud', 'staff', 'vacation')`;

function holdDriver(): Driver {
  const suspensions = 'suspension s FORCE INDEX (suspension_open)';
  return {
    index: suspensions,
    from: `${suspensions} JOIN subscription n ON n.id = s.subscription_id
           JOIN subscriber b ON b.id = n.subscriber_id`,
    where: { sql: `s.open_cause IN ${holdCauses}`, values: [] },
    keys: ['s.open_cause', 's.id'],
    isFirst: {
      sql: `(SELECT 1 FROM subscription rn JOIN suspension rs FORCE INDEX (suspension_one_open)
               ON rs.subscription_id = rn.id
              WHERE rn.subscriber_id = b.id AND rs.open_cause IN ${holdCauses}
                AND (rs.open_cause < s.open_cause OR (rs.open_cause = s.open_cause AND rs.id < s.id))
              LIMIT 1) IS NULL`,
      values: [],
    },
    answers: 'state',
  };
}

/** Oldest due day first: whoever waits longest is called first. */
function overdueDriver(today: Day): Driver {
  const invoices = 'invoice i FORCE INDEX (invoice_due)';
  return {
    index: invoices,
    from: `${invoices} JOIN subscriber b ON b.id = i.subscriber_id`,
    where: { sql: `i.state = 'open' AND i.due_on < ?`, values: [today] },
    keys: ['i.due_on', 'i.subscriber_id', 'i.id'],
    isFirst: {
      sql: `(SELECT 1 FROM invoice e FORCE INDEX (invoice_subscriber)
              WHERE e.subscriber_id = b.id AND e.state = 'open' AND e.due_on <= i.due_on
                AND (e.due_on < i.due_on OR e.id < i.id) LIMIT 1) IS NULL`,
      values: [],
    },
    answers: 'state',
  };
}

/** Reasons of logins that still live: those that ended would fill the list of the denied for ever. */
const livingReasons = `('fraud_hold', 'invoice_overdue', 'paid_up', 'prepaid_expired', 'staff_hold', 'subscription_paused', 'vacation')`;

function accessDriver(access: string): Driver {
  const decisions = 'access_decision d FORCE INDEX (decision_access)';
  return {
    index: decisions,
    from: `${decisions} JOIN login l ON l.id = d.login_id ${toSubscriber}`,
    where: { sql: `d.access = ? AND d.reason IN ${livingReasons}`, values: [access] },
    keys: ['d.reason', 'd.login_id'],
    isFirst: {
      sql: `(SELECT 1 FROM ${loginsOf} JOIN access_decision rd FORCE INDEX (PRIMARY) ON rd.login_id = rl.id
              WHERE rn.subscriber_id = b.id AND rd.access = ? AND rd.reason IN ${livingReasons}
                AND (rd.reason < d.reason OR (rd.reason = d.reason AND rd.login_id < d.login_id))
              LIMIT 1) IS NULL`,
      values: [access],
    },
    answers: 'state',
  };
}

function packageDriver(packageId: string): Driver {
  const subscriptions = 'subscription n FORCE INDEX (subscription_package)';
  return {
    index: subscriptions,
    from: `${subscriptions} JOIN subscriber b ON b.id = n.subscriber_id`,
    where: { sql: `n.package_id = ? AND n.state <> 'terminated'`, values: [packageId] },
    keys: ['n.id'],
    isFirst: {
      sql: `(SELECT 1 FROM subscription e FORCE INDEX (subscription_subscriber)
              WHERE e.subscriber_id = b.id AND e.package_id = ? AND e.state <> 'terminated' AND e.id < n.id
              LIMIT 1) IS NULL`,
      values: [packageId],
    },
    answers: 'package',
  };
}

/**
 * What the driver does not answer, looked up for each row. As a subquery with a limit and not as EXISTS, which the
 * optimizer may turn round and answer by reading the whole other table.
 */
export function othersOf(driver: Driver, filter: SubscriberFilter): Sql[] {
  const others: Sql[] = [];
  const text = driver.answers === 'text' ? leadingGroup(filter.prefixes) : null;
  for (const group of filter.prefixes.filter((one) => one !== text)) {
    const like = likes('x.term', group);
    others.push(
      has(
        `subscriber_term x FORCE INDEX (subscriber_term_of) WHERE x.subscriber_id = b.id AND ${like.sql}`,
        like.values,
      ),
    );
  }
  if (filter.routerId !== null && driver.answers !== 'router') others.push(isOnline(filter.routerId));
  if (filter.state !== null && driver.answers !== 'state') others.push(isIn(filter.state, filter.today));
  if (filter.packageId !== null && driver.answers !== 'package') {
    const sql = `subscription rp FORCE INDEX (subscription_subscriber)
      WHERE rp.subscriber_id = b.id AND rp.package_id = ? AND rp.state <> 'terminated'`;
    others.push(has(sql, [filter.packageId]));
  }
  if (filter.profileId !== null && driver.answers !== 'profile')
    others.push({ sql: 'b.billing_profile_id = ?', values: [filter.profileId] });
  return others;
}

function has(sql: string, values: Sql['values']): Sql {
  return { sql: `(SELECT 1 FROM ${sql} LIMIT 1) = 1`, values };
}

function isOnline(routerId: string | null): Sql {
  return has(
    `${loginsOf} JOIN radacct ra FORCE INDEX (radacct_user) ON ra.username = rl.username
      WHERE rn.subscriber_id = b.id AND ra.acctstoptime IS NULL${routerId === null ? '' : ' AND ra.router_id = ?'}`,
    routerId === null ? [] : [routerId],
  );
}

function isIn(state: SubscriberState, today: Day): Sql {
  switch (state) {
    case 'online':
      return isOnline(null);
    case 'overdue':
      return has(
        `invoice ri FORCE INDEX (invoice_subscriber)
          WHERE ri.subscriber_id = b.id AND ri.state = 'open' AND ri.due_on < ?`,
        [today],
      );
    case 'hold':
      return has(
        `subscription rn JOIN suspension rs FORCE INDEX (suspension_one_open) ON rs.subscription_id = rn.id
          WHERE rn.subscriber_id = b.id AND rs.open_cause IN ${holdCauses}`,
        [],
      );
    case 'full':
    case 'throttled':
    case 'walled_garden':
    case 'denied':
      return has(
        `${loginsOf} JOIN access_decision rd FORCE INDEX (PRIMARY) ON rd.login_id = rl.id
          WHERE rn.subscriber_id = b.id AND rd.access = ? AND rd.reason IN ${livingReasons}`,
        [state],
      );
  }
}

export function joined(parts: readonly Sql[], between: string): Sql {
  return { sql: parts.map((part) => part.sql).join(between), values: parts.flatMap((part) => part.values) };
}
