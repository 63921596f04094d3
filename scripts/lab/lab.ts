import { Cpe, type CpeView } from './cpe.ts';
import { InputError, type LabConfig, type LabRouterConfig } from './config.ts';
import { LabRouter } from './router.ts';
import type { SessionView } from './session.ts';

export type Say = (event: string, facts?: Record<string, unknown>) => void;

interface Entry {
  router: LabRouter;
  config: LabRouterConfig;
  /** Came with the configuration file, so a reload may take it away. */
  readonly isConfigured: boolean;
}

/** Routers and their subscribers' CPEs in one process. */
export class Lab {
  private config: LabConfig;
  private readonly say: Say;
  private readonly entries = new Map<string, Entry>();
  private readonly cpes = new Map<string, { cpe: Cpe; routerName: string }>();

  constructor(config: LabConfig, say: Say) {
    this.config = config;
    this.say = say;
  }

  /** Opens the routers, says that they have begun, and lets the CPEs dial, spread over some seconds. */
  async start(): Promise<void> {
    for (const router of this.config.routers) await this.open(router, true);
    for (const subscriber of this.config.subscribers) this.addCpe(subscriber);
    this.say('lab started', { routers: this.entries.size, subscribers: this.cpes.size });
  }

  /** Every session ends with a Stop; gives up on unanswered ones after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    for (const { cpe } of this.cpes.values()) cpe.stop();
    const routers = [...this.entries.values()].map(({ router }) => router);
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([Promise.all(routers.map((router) => router.hangUpAll())), grace]);
    clearTimeout(timer);
    await Promise.all(routers.map((router) => router.close()));
    this.entries.clear();
    this.cpes.clear();
  }

  /**
   * Brings the lab to a changed configuration: a router whose secret alone changed keeps its sessions, one that changed
   * otherwise is opened anew; CPEs follow their logins.
   */
  async reload(config: LabConfig): Promise<void> {
    this.config = config;
    const wanted = new Map(config.routers.map((router) => [router.name, router]));
    for (const [name, entry] of [...this.entries]) {
      if (entry.isConfigured && !wanted.has(name)) await this.removeRouter(name);
    }
    for (const router of config.routers) await this.bringTo(router);
    const subscribers = new Map(config.subscribers.map((each) => [each.username, each]));
    for (const [username, { cpe }] of [...this.cpes]) {
      if (subscribers.has(username)) continue;
      cpe.stop();
      this.cpes.delete(username);
    }
    for (const subscriber of config.subscribers) this.addCpe(subscriber);
    this.say('lab reloaded', { routers: this.entries.size, subscribers: this.cpes.size });
  }

  private async bringTo(config: LabRouterConfig): Promise<void> {
    const entry = this.entries.get(config.name);
    if (entry === undefined) {
      await this.open(config, true);
      return;
    }
    const shape = (each: LabRouterConfig) => JSON.stringify({ ...each, secret: '' });
    if (shape(entry.config) !== shape(config)) {
      await this.removeRouter(config.name);
      await this.open(config, true);
    } else if (entry.config.secret !== config.secret) {
      this.setSecret(config.name, config.secret);
    }
  }

  private async open(config: LabRouterConfig, isConfigured: boolean): Promise<LabRouter> {
    const { authServer, acctServer } = this.config;
    const router = new LabRouter({ ...config, authServer, acctServer });
    try {
      await router.open();
    } catch (error) {
      await router.close();
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
      throw new InputError([
        {
          field: `routers.${config.name}.coaPort`,
          rule: `${config.address}:${config.coaPort} cannot be bound (${code})`,
        },
      ]);
    }
    this.entries.set(config.name, { router, config, isConfigured });
    void router.announce();
    this.say('router up', { router: config.name, address: config.address, coaPort: router.coaPort });
    return router;
  }

  private addCpe(subscriber: LabConfig['subscribers'][number]): void {
    const { router: routerName, dialAtStart, ...login } = subscriber;
    const known = this.cpes.get(login.username);
    if (known?.routerName === routerName) {
      // A new password counts from the next dial on, as at a real CPE.
      known.cpe.login = login;
      return;
    }
    known?.cpe.stop();
    const [first, longest] = this.config.redialSeconds;
    const cpe = new Cpe(login, () => this.entries.get(routerName)?.router, [first * 1000, longest * 1000]);
    this.cpes.set(login.username, { cpe, routerName });
    if (dialAtStart) cpe.start(Math.random() * this.config.dialSpreadSeconds * 1000);
  }

  async addRouter(config: LabRouterConfig): Promise<LabRouter> {
    if (this.entries.has(config.name)) throw new InputError([{ field: 'name', rule: 'is taken' }]);
    const holder = [...this.entries.values()].find(({ router }) => router.address === config.address);
    if (holder !== undefined)
      throw new InputError([{ field: 'address', rule: `is that of ${holder.router.name}` }]);
    return this.open(config, false);
  }

  /** Its sessions end without a Stop, like those of a router that is taken off the wall. */
  async removeRouter(name: string): Promise<void> {
    const entry = this.entries.get(name);
    if (entry === undefined) return;
    this.entries.delete(name);
    await entry.router.close();
    for (const { cpe, routerName } of this.cpes.values()) {
      if (routerName !== name || cpe.view().state === 'off') continue;
      cpe.stop();
      cpe.start(Math.random() * this.config.dialSpreadSeconds * 1000);
    }
    this.say('router gone', { router: name });
  }

  setSecret(name: string, secret: string): void {
    const entry = this.entries.get(name);
    if (entry === undefined) return;
    entry.router.setSecret(secret);
    entry.config = { ...entry.config, secret };
    this.say('secret changed', { router: name });
  }

  router(name: string): LabRouter | undefined {
    return this.entries.get(name)?.router;
  }

  routers(): LabRouter[] {
    return [...this.entries.values()].map(({ router }) => router);
  }

  /** Live sessions of all routers, of one username where it is given. */
  sessions(username?: string): SessionView[] {
    return this.routers()
      .flatMap((router) => router.sessions())
      .filter((session) => username === undefined || session.username === username);
  }

  subscribers(): CpeView[] {
    return [...this.cpes.values()].map(({ cpe }) => cpe.view());
  }

  cpe(username: string): Cpe | undefined {
    return this.cpes.get(username)?.cpe;
  }
}
