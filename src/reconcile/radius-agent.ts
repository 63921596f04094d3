import { createRadmin, type Radmin } from '../adapters/freeradius/radmin.ts';
import { nasFingerprint, readNas, type StoredNasRow } from '../db/nas.ts';
import { changedAddresses } from '../domain/nas-rows.ts';
import { describeError } from '../log.ts';
import {
  alignFolders,
  type AlignReport,
  type ClientFileDeps,
  type Folders,
  openFolders,
  quarantineBadFiles,
} from './align-client-files.ts';
import { EvidenceCollector } from './client-evidence.ts';
import { ClientStates } from './client-states.ts';

export interface RadiusAgentDeps extends ClientFileDeps {
  /** This host's name in its evidence rows. */
  readonly host: string;
  readonly freeradius: ClientFileDeps['freeradius'] & {
    /** Without it, evidence goes from `in place` straight to `heard`, by accounting rows. */
    readonly controlSocket?: string | undefined;
  };
  readonly pollMs?: number;
}

export interface RadiusAgent {
  /** `nas` has changed: look now instead of at the next poll. */
  wake(): void;
  /** Ends after the step that is going on. Files stay. */
  stop(): Promise<void>;
}

/** With FreeRADIUS's own second, a change that nobody woke us for is in effect within a second and a half. */
const defaultPollMs = 250;
/** Evidence rows that one turn of the loop writes, so that a change never waits long for them. */
const savedAtOnce = 500;
/** Files that somebody else changed are put right this often, and failures tried again. */
const fullLookMs = 10_000;

/**
 * Keeps FreeRADIUS's client files on this host in line with `nas`, for ever. The database may go away: files stay as they
 * are. It may be killed at any point: what it does next begins with comparing everything.
 */
export function startRadiusAgent(deps: RadiusAgentDeps): RadiusAgent {
  const { controlSocket } = deps.freeradius;
  const radmin = controlSocket === undefined ? undefined : createRadmin(controlSocket);
  const agent = new AgentLoop(deps, radmin);
  const ended = agent.run();
  return {
    wake: () => agent.wake(),
    async stop() {
      agent.stop();
      await ended;
      radmin?.close();
    },
  };
}

/**
 * One look, for scripts and before FreeRADIUS starts: a single bad file would keep it from starting. Rejects when the
 * table can't be read, after bad files were taken out. `isRemovalConfirmed` lets any number of files go.
 */
export async function alignClientFiles(
  deps: RadiusAgentDeps,
  options: { isRemovalConfirmed?: boolean } = {},
): Promise<AlignReport> {
  const folders = await openFolders(deps);
  await quarantineBadFiles(deps, folders);
  const states = new ClientStates(deps.host, () => deps.clock.now());
  await states.load(deps.db);
  const report = await alignFolders(deps, folders, states, {
    rows: await readNas(deps.db),
    isRemovalConfirmed: options.isRemovalConfirmed ?? false,
  });
  await states.save(deps.db, Infinity);
  return report;
}

/** Takes out what would keep FreeRADIUS from starting, without the database. Gives how many. */
export async function quarantineBadClientFiles(deps: ClientFileDeps): Promise<number> {
  return quarantineBadFiles(deps, await openFolders(deps));
}

class AgentLoop {
  private readonly deps: RadiusAgentDeps;
  private readonly radmin: Radmin | undefined;
  private readonly states: ClientStates;
  private readonly troubles = new Set<string>();
  private folders: Folders | undefined;
  private evidence: EvidenceCollector | undefined;
  private isLoaded = false;
  private fingerprint: string | undefined;
  private rows: readonly StoredNasRow[] | undefined;
  private alignedAt = -Infinity;
  private isStopped = false;
  private isWoken = false;
  private rouse: () => void = () => undefined;

  constructor(deps: RadiusAgentDeps, radmin: Radmin | undefined) {
    this.deps = deps;
    this.radmin = radmin;
    this.states = new ClientStates(deps.host, () => deps.clock.now());
  }

  wake(): void {
    this.isWoken = true;
    this.rouse();
  }

  stop(): void {
    this.isStopped = true;
    this.rouse();
  }

  async run(): Promise<void> {
    while (!this.isStopped) {
      this.isWoken = false;
      await this.guard('client files', () => this.align());
      await this.guard('evidence', () => this.collect());
      await this.guard('evidence rows', () => this.states.save(this.deps.db, savedAtOnce));
      await this.sleep();
    }
  }

  private async align(): Promise<void> {
    const folders = (this.folders ??= await openFolders(this.deps));
    if (!this.isLoaded) {
      await quarantineBadFiles(this.deps, folders);
      await this.states.load(this.deps.db);
      this.isLoaded = true;
    }
    // Read before the table: a change in between shows as another fingerprint next time.
    const fingerprint = await nasFingerprint(this.deps.db);
    const isDue = this.rows === undefined || performance.now() - this.alignedAt >= fullLookMs;
    if (fingerprint === this.fingerprint && !isDue) return;
    const rows = await readNas(this.deps.db);
    const scope = isDue ? undefined : changedAddresses(this.rows ?? [], rows);
    // Forgotten until it is done: a failure half-way is followed by a look at everything.
    this.rows = undefined;
    const report = await this.alignWith(folders, rows, scope);
    this.rows = rows;
    this.fingerprint = fingerprint;
    if (scope === undefined) this.alignedAt = performance.now();
    const isQuiet = report.written + report.removed + report.quarantined + report.renewed === 0;
    if (!isQuiet) this.deps.log.info('client files', { ...report });
  }

  /** What a part alone can't explain, the whole decides. */
  private async alignWith(
    folders: Folders,
    rows: readonly StoredNasRow[],
    scope: ReadonlySet<string> | undefined,
  ): Promise<AlignReport> {
    const work = { rows, isRemovalConfirmed: false };
    if (scope === undefined) return alignFolders(this.deps, folders, this.states, work);
    const report = await alignFolders(this.deps, folders, this.states, { ...work, scope });
    return report.refused === 0 ? report : alignFolders(this.deps, folders, this.states, work);
  }

  private async collect(): Promise<void> {
    const { folders } = this;
    if (folders === undefined) return;
    this.evidence ??= new EvidenceCollector(
      {
        ...this.deps,
        radmin: this.radmin,
        folderOf: (address) => (address.includes(':') ? folders.v6 : folders.v4),
      },
      this.states,
    );
    // A change that waits goes first: evidence can be had a moment later.
    await this.evidence.look(() => this.isWoken || this.isStopped);
  }

  /** A part that fails is said once, when it begins to fail and when it is over; the others go on. */
  private async guard(part: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      if (this.troubles.delete(part)) this.deps.log.info('radius-agent works again', { part });
    } catch (error) {
      if (this.troubles.has(part)) return;
      this.troubles.add(part);
      this.deps.log.error('radius-agent has trouble', { part, error: describeError(error) });
    }
  }

  private async sleep(): Promise<void> {
    if (this.isStopped || this.isWoken) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.deps.pollMs ?? defaultPollMs);
      this.rouse = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
