import { type ClientLevel, clientLevel, type ClientState } from '../domain/client-evidence.ts';
import { inOrder } from './keyset.ts';
import { chunksOf, type Db, fromSqlInstant, sqlInstant } from './knex.ts';

interface Row {
  host: string;
  router_id: string;
  wanted_hash: string | null;
  wanted_at: string;
  in_place_hash: string | null;
  in_place_at: string | null;
  loaded_hash: string | null;
  loaded_at: string | null;
  heard_at: string | null;
  error: string | null;
}

/** What this host's agent wrote down, so that one that is started again goes on from there. */
export async function readClientStates(db: Db, host: string): Promise<ClientState[]> {
  const rows = await db('radius_client').select<Row[]>('*').where({ host });
  return rows.map((row) => ({
    routerId: row.router_id,
    wantedHash: row.wanted_hash,
    wantedAt: fromSqlInstant(row.wanted_at),
    inPlaceHash: row.in_place_hash,
    inPlaceAt: instantOf(row.in_place_at),
    loadedHash: row.loaded_hash,
    loadedAt: instantOf(row.loaded_at),
    heardAt: instantOf(row.heard_at),
    error: row.error,
  }));
}

export async function saveClientStates(db: Db, host: string, states: readonly ClientState[]): Promise<void> {
  const sorted = [...states].sort((a, b) => Number(BigInt(a.routerId) - BigInt(b.routerId)));
  for (const chunk of chunksOf(sorted, 500)) {
    await db('radius_client')
      .insert(
        chunk.map((state) => ({
          host,
          router_id: state.routerId,
          wanted_hash: state.wantedHash,
          wanted_at: sqlInstant(state.wantedAt),
          in_place_hash: state.inPlaceHash,
          in_place_at: textOf(state.inPlaceAt),
          loaded_hash: state.loadedHash,
          loaded_at: textOf(state.loadedAt),
          heard_at: textOf(state.heardAt),
          error: state.error,
        })),
      )
      .onConflict(['host', 'router_id'])
      .merge();
  }
}

/** How far a router has come on one host. Times are null where nothing of what is wanted now was seen. */
export interface ClientEvidence {
  readonly host: string;
  readonly level: ClientLevel;
  readonly wantedAt: Date;
  readonly inPlaceAt: Date | null;
  readonly loadedAt: Date | null;
  readonly heardAt: Date | null;
  readonly error: string | null;
}

/**
 * Per router id, one entry a FreeRADIUS host. No entry: no host's agent has seen the router yet. A router is served by
 * all its hosts only when all entries say so.
 */
export async function clientEvidence(
  db: Db,
  routerIds: readonly string[],
): Promise<Map<string, ClientEvidence[]>> {
  const evidence = new Map<string, ClientEvidence[]>();
  for (const chunk of chunksOf([...new Set(routerIds)], 500)) {
    const rows = await db('radius_client')
      .select<Row[]>('*')
      .whereIn('router_id', chunk)
      .orderBy(['router_id', 'host']);
    for (const row of rows) {
      const list = evidence.get(row.router_id) ?? [];
      list.push(evidenceOf(row));
      evidence.set(row.router_id, list);
    }
  }
  return evidence;
}

function evidenceOf(row: Row): ClientEvidence {
  const state = {
    wantedHash: row.wanted_hash,
    inPlaceHash: row.in_place_hash,
    inPlaceAt: instantOf(row.in_place_at),
    loadedHash: row.loaded_hash,
    loadedAt: instantOf(row.loaded_at),
    heardAt: instantOf(row.heard_at),
    error: row.error,
  };
  return {
    host: row.host,
    level: clientLevel(state),
    wantedAt: fromSqlInstant(row.wanted_at),
    inPlaceAt: row.in_place_hash === row.wanted_hash ? state.inPlaceAt : null,
    loadedAt: row.loaded_hash === row.wanted_hash ? state.loadedAt : null,
    heardAt: state.heardAt,
    error: row.error,
  };
}

/** Clients that a host could not take, for Network, Needs attention. */
export interface ClientFault {
  readonly host: string;
  readonly routerId: string;
  /** Null when the router is not in our table at all. */
  readonly routerName: string | null;
  readonly error: string;
  readonly since: Date;
}

export async function clientFaults(
  db: Db,
  limit = 500,
  after: readonly string[] | null = null,
): Promise<ClientFault[]> {
  interface FaultRow {
    host: string;
    router_id: string;
    name: string | null;
    error: string;
    wanted_at: string;
  }
  const query = inOrder(
    db,
    db('radius_client as c').leftJoin('router as r', 'r.id', 'c.router_id').whereNotNull('c.error'),
    { columns: ['c.wanted_at', 'c.host', 'c.router_id'], way: 'asc' },
    after === null ? null : { direction: 'after', values: after },
  );
  const rows: FaultRow[] = await query
    .limit(limit)
    .select('c.host', 'c.router_id', 'r.name', 'c.error', 'c.wanted_at');
  return rows.map((row) => ({
    host: row.host,
    routerId: row.router_id,
    routerName: row.name,
    error: row.error,
    since: fromSqlInstant(row.wanted_at),
  }));
}

/** Where a fault stands in the list, to go on after it. */
export function placeOfFault(fault: ClientFault): readonly string[] {
  return [sqlInstant(fault.since), fault.host, fault.routerId];
}

/**
 * Of these routers, those with accounting that FreeRADIUS took after `since`. Any host's: good enough only where this
 * host's own server can't be asked.
 */
export async function routersWithAccountingSince(
  db: Db,
  wanted: readonly { routerId: string; since: Date }[],
): Promise<Set<string>> {
  const heard = new Set<string>();
  for (const chunk of chunksOf(wanted, 500)) {
    const earliest = new Date(Math.min(...chunk.map((one) => one.since.getTime())));
    const rows = await db('radacct')
      .whereIn(
        'router_id',
        chunk.map((one) => one.routerId),
      )
      .andWhere('acctupdatetime', '>=', sqlInstant(earliest))
      .groupBy('router_id')
      .select<{ router_id: string; last: string }[]>('router_id', db.raw('MAX(acctupdatetime) AS last'));
    const last = new Map(rows.map((row) => [row.router_id, fromSqlInstant(row.last)]));
    for (const one of chunk) {
      const at = last.get(one.routerId);
      if (at !== undefined && at >= one.since) heard.add(one.routerId);
    }
  }
  return heard;
}

function instantOf(text: string | null): Date | null {
  return text === null ? null : fromSqlInstant(text);
}

function textOf(at: Date | null): string | null {
  return at === null ? null : sqlInstant(at);
}
