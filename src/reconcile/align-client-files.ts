import type { Knex } from 'knex';
import { type ClientFolder, openClientFolder } from '../adapters/freeradius/client-files.ts';
import type { Clock } from '../clock.ts';
import type { StoredNasRow } from '../db/nas.ts';
import { removedRouters } from '../db/routers.ts';
import { type ClientPlan, planClientFiles, type PresentFile } from '../domain/client-directory.ts';
import { withError, withInPlace, withWanted } from '../domain/client-evidence.ts';
import {
  clientHash,
  clientProblem,
  parseClientFile,
  type ParsedClientFile,
  type RadiusClient,
  renderClientFile,
} from '../domain/radius-client-file.ts';
import { statusClientAddress } from '../domain/router-address.ts';
import { AppError } from '../errors.ts';
import { describeError, type Log } from '../log.ts';
import type { ClientStates } from './client-states.ts';

export interface ClientFileDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly freeradius: {
    readonly clientDirectory: string;
    /** Without it, routers with an IPv6 address are an error on this host. */
    readonly clientDirectory6?: string | undefined;
    /** Addresses of FreeRADIUS's static clients, which no file may have; the status client's by default. */
    readonly reservedAddresses?: readonly string[];
  };
}

export interface Folders {
  readonly v4: ClientFolder;
  readonly v6: ClientFolder | undefined;
  /** What was read from each text: most files never change. */
  readonly parsed: Map<string, { text: string; content: ParsedClientFile }>;
}

export async function openFolders(deps: ClientFileDeps): Promise<Folders> {
  const { clientDirectory, clientDirectory6 } = deps.freeradius;
  return {
    v4: await openClientFolder(clientDirectory),
    v6: clientDirectory6 === undefined ? undefined : await openClientFolder(clientDirectory6),
    parsed: new Map(),
  };
}

export interface AlignReport {
  written: number;
  renewed: number;
  removed: number;
  quarantined: number;
  /** Files that nothing explains and that were too many to be removed without somebody's word. */
  refused: number;
  /** Routers that this host could not take. */
  failed: number;
}

/**
 * Brings the files in line with `rows`, the whole of `nas`. With `scope`, only the files of these addresses are looked
 * at: the ones whose row has changed since a look at everything. One router that can't be taken never stops the others:
 * its error goes into its own state.
 */
export async function alignFolders(
  deps: ClientFileDeps,
  folders: Folders,
  states: ClientStates,
  work: { rows: readonly StoredNasRow[]; scope?: ReadonlySet<string>; isRemovalConfirmed: boolean },
): Promise<AlignReport> {
  const { rows, scope } = work;
  const inScope = scope === undefined ? rows : rows.filter((row) => scope.has(row.address));
  const present = {
    v4: presentFiles(deps, folders, 'v4', scope),
    v6: presentFiles(deps, folders, 'v6', scope),
  };
  const sorted = sortRows(deps, folders, inScope);
  const isExplained = await explainer(deps.db, rows, [...present.v4, ...present.v6]);
  const report = {
    written: 0,
    renewed: 0,
    removed: 0,
    quarantined: 0,
    refused: 0,
    failed: sorted.errors.size,
  };
  noteWanted(deps, states, rows, sorted);
  for (const family of ['v4', 'v6'] as const) {
    const folder = folders[family];
    if (folder === undefined) continue;
    const plan = planClientFiles({
      wanted: sorted.usable.map((one) => one.client).filter((client) => familyOf(client.address) === family),
      untouchable: sorted.untouchable,
      present: present[family],
      isExplained,
      // One folder may rightly be empty while the other is not; a table that is empty as a whole is never believed.
      isAnyWanted: rows.length > 0,
      isRemovalConfirmed: work.isRemovalConfirmed,
    });
    await applyPlan(deps, folder, plan, { present: present[family], states, report });
  }
  return report;
}

/** Takes out what would keep FreeRADIUS from starting, without the database. Gives how many. */
export async function quarantineBadFiles(deps: ClientFileDeps, folders: Folders): Promise<number> {
  let count = 0;
  for (const family of ['v4', 'v6'] as const) {
    for (const file of presentFiles(deps, folders, family, undefined)) {
      const folder = folders[family];
      if (folder === undefined || file.content.ok) continue;
      const where = await folder.quarantine(file.name, { isReplaced: false });
      deps.log.error('bad client file taken out', { file: file.name, problem: file.content.problem, where });
      count++;
    }
  }
  return count;
}

type Family = 'v4' | 'v6';

function familyOf(address: string): Family {
  return address.includes(':') ? 'v6' : 'v4';
}

function presentFiles(
  deps: ClientFileDeps,
  folders: Folders,
  family: Family,
  scope: ReadonlySet<string> | undefined,
): PresentFile[] {
  const names = scope === undefined ? undefined : [...scope].filter((name) => familyOf(name) === family);
  const files = folders[family]?.list(names) ?? [];
  return files.map((file) => ({
    name: file.name,
    isFromFuture: file.isFromFuture,
    content:
      file.text === undefined
        ? { ok: false, problem: 'is not a regular file' }
        : parseOnce(deps, folders, { name: file.name, text: file.text }),
  }));
}

function parseOnce(
  deps: ClientFileDeps,
  folders: Folders,
  file: { name: string; text: string },
): ParsedClientFile {
  const known = folders.parsed.get(file.name);
  if (known?.text === file.text) return known.content;
  const content = parseClientFile(file.name, file.text, reserved(deps));
  folders.parsed.set(file.name, { text: file.text, content });
  return content;
}

function reserved(deps: ClientFileDeps): readonly string[] {
  return deps.freeradius.reservedAddresses ?? [statusClientAddress];
}

interface SortedRows {
  usable: { row: StoredNasRow; client: RadiusClient }[];
  untouchable: Set<string>;
  errors: Map<string, string>;
}

/** Rows that can become a file, and why the others can't. */
function sortRows(deps: ClientFileDeps, folders: Folders, rows: readonly StoredNasRow[]): SortedRows {
  const sorted: SortedRows = { usable: [], untouchable: new Set(), errors: new Map() };
  for (const row of rows) {
    const { address, secret, shortname, requireMessageAuthenticator } = row;
    const client = { address, secret, shortname, requireMessageAuthenticator };
    const isHomeless = address.includes(':') && folders.v6 === undefined;
    const problem = isHomeless
      ? 'address: this host has no directory for IPv6 clients'
      : clientProblem(client, reserved(deps));
    if (problem === undefined) sorted.usable.push({ row, client });
    else {
      sorted.errors.set(row.routerId, problem);
      sorted.untouchable.add(address);
    }
  }
  return sorted;
}

function noteWanted(
  deps: ClientFileDeps,
  states: ClientStates,
  rows: readonly StoredNasRow[],
  sorted: SortedRows,
): void {
  const wantedIds = new Set(rows.map((row) => row.routerId));
  for (const { row, client } of sorted.usable) {
    states.change(row.routerId, (state) =>
      withError(withWanted(state, clientHash(client), row.changedAt), null),
    );
    states.setAddress(row.routerId, client.address);
  }
  for (const [routerId, error] of sorted.errors) {
    if (states.get(routerId)?.error !== error) deps.log.error('router is not usable', { routerId, error });
    states.change(routerId, (state) => withError(state, error));
  }
  for (const routerId of states.ids()) {
    if (wantedIds.has(routerId)) continue;
    states.change(routerId, (state) => withError(withWanted(state, null, deps.clock.now()), null));
  }
}

/**
 * Whether a file may go without being counted: its router was removed on record, or is wanted under another address. A
 * row that vanished without either is what an emptied or a wrong database looks like.
 */
async function explainer(
  db: Knex,
  rows: readonly StoredNasRow[],
  files: readonly PresentFile[],
): Promise<(client: RadiusClient) => boolean> {
  const addresses = new Map(rows.map((row) => [row.routerId, row.address]));
  const known = new Set(rows.map((row) => row.address));
  const orphans = files.filter((file) => file.content.ok && !known.has(file.name));
  const ids = orphans.map((file) => (file.content.ok ? routerIdOf(file.content.client) : undefined));
  const removed = await removedRouters(
    db,
    ids.filter((id) => id !== undefined),
  );
  return (client) => {
    const id = routerIdOf(client);
    if (id === undefined) return false;
    const address = addresses.get(id);
    return removed.has(id) || (address !== undefined && address !== client.address);
  };
}

function routerIdOf(client: RadiusClient): string | undefined {
  return /^r([1-9]\d{0,18})$/.exec(client.shortname)?.[1];
}

const writersAtOnce = 16;

async function applyPlan(
  deps: ClientFileDeps,
  folder: ClientFolder,
  plan: ClientPlan,
  work: { present: readonly PresentFile[]; states: ClientStates; report: AlignReport },
): Promise<void> {
  const { states, report } = work;
  const routerOf = new Map(
    work.present.map((file) => [file.name, file.content.ok ? routerIdOf(file.content.client) : undefined]),
  );
  for (const file of plan.quarantine) {
    await attempt(deps, work, undefined, async () => {
      const where = await folder.quarantine(file.name, { isReplaced: file.isReplaced });
      deps.log.error('bad client file taken out', { file: file.name, problem: file.problem, where });
      report.quarantined++;
    });
  }
  await inParallel(plan.write, writersAtOnce, async (client) => {
    await attempt(deps, work, routerIdOf(client), async () => {
      await folder.put(client.address, renderClientFile(client));
      report.written++;
    });
  });
  for (const name of plan.renew) {
    await attempt(deps, work, routerOf.get(name), async () => {
      await folder.renew(name);
      report.renewed++;
    });
  }
  for (const name of plan.remove) {
    await attempt(deps, work, routerOf.get(name), async () => {
      await folder.remove(name);
      report.removed++;
    });
  }
  if (plan.write.length + plan.remove.length + plan.quarantine.length > 0) await folder.flush();
  noteInPlace(deps, states, { plan, present: work.present });
  noteRefused(deps, states, plan.refused, routerOf);
  report.refused += plan.refused.length;
}

/** A failure belongs to the router whose file it is, and the next full look tries again. */
async function attempt(
  deps: ClientFileDeps,
  work: { states: ClientStates; report: AlignReport },
  routerId: string | undefined,
  act: () => Promise<void>,
): Promise<void> {
  try {
    await act();
  } catch (error) {
    work.report.failed++;
    const text = error instanceof AppError ? error.message : 'the client file could not be changed';
    deps.log.error('client file not changed', { routerId, error: describeError(error) });
    if (routerId !== undefined) work.states.change(routerId, (state) => withError(state, text));
  }
}

function noteInPlace(
  deps: ClientFileDeps,
  states: ClientStates,
  done: { plan: ClientPlan; present: readonly PresentFile[] },
): void {
  const at = deps.clock.now();
  const place = (client: RadiusClient, hash: string | null) => {
    const routerId = routerIdOf(client);
    const state = routerId === undefined ? undefined : states.get(routerId);
    if (routerId === undefined || state === undefined || state.error !== null) return;
    states.change(routerId, (before) => withInPlace(before, hash, at));
  };
  const removed = new Set(done.plan.remove);
  const refused = new Set(done.plan.refused);
  const clients = done.present.flatMap((file) =>
    file.content.ok && !refused.has(file.name) ? [file.content.client] : [],
  );
  // In this order, because a router that moved has an old file that went and a new one that came.
  for (const client of clients) if (removed.has(client.address)) place(client, null);
  for (const client of clients) if (!removed.has(client.address)) place(client, clientHash(client));
  for (const client of done.plan.write) place(client, clientHash(client));
}

function noteRefused(
  deps: ClientFileDeps,
  states: ClientStates,
  refused: readonly string[],
  routerOf: ReadonlyMap<string, string | undefined>,
): void {
  if (refused.length === 0) return;
  deps.log.error('client files without a row in nas are kept: too many to believe', {
    count: refused.length,
  });
  for (const name of refused) {
    const routerId = routerOf.get(name);
    if (routerId === undefined) continue;
    states.change(routerId, (state) =>
      withError(state, 'has a client file but no row in nas; kept, because too many vanished at once'),
    );
  }
}

async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}
