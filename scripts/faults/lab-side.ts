import { Cpe } from '../lab/cpe.ts';
import { LabRouter } from '../lab/router.ts';
import type { SessionView } from '../lab/session.ts';
import { AccountingRecord } from './accounting-record.ts';
import type { Isp, Person } from './isp.ts';

/** The routers of a story and the homes behind them. */
export interface LabSide {
  readonly routers: ReadonlyMap<string, LabRouter>;
  readonly cpes: ReadonlyMap<string, Cpe>;
  readonly record: AccountingRecord;
  /** Lets every home dial, spread over some time. */
  dialAll(spreadMs: number): void;
  /** Homes hang up and come back, until the returned function is called. */
  churn(everyMs: number, random: () => number): () => void;
  /** Live sessions by username. */
  live(): Map<string, SessionView[]>;
  close(): Promise<void>;
}

/** Every so many routers one has short interims: what disobeys is found out by them. */
const talkativeEvery = 5;
const redialMs: readonly [number, number] = [1000, 15_000];

export function isTalkative(index: number): boolean {
  return index % talkativeEvery === 0;
}

export async function openLab(isp: Isp, ports: { auth: number; acct: number }): Promise<LabSide> {
  const record = new AccountingRecord();
  const routers = new Map<string, LabRouter>();
  for (const [index, place] of isp.routers.entries()) {
    const router = new LabRouter({
      ...place,
      authServer: { address: '127.0.0.1', port: ports.auth },
      acctServer: { address: '127.0.0.1', port: ports.acct },
      interimSeconds: isTalkative(index) ? 10 : 0,
      timeoutMs: 2000,
      accountingGiveUpSeconds: 120,
      pools: { home: ['10.64.0.10', '10.64.7.250'], 'home-suspended': ['10.65.0.10', '10.65.7.250'] },
      onAccounted: (attributes) => record.note(place.name, attributes),
    });
    routers.set(place.name, await router.open());
  }
  const cpes = new Map(isp.people.map((person) => [person.username, cpeOf(person, routers)]));
  return {
    routers,
    cpes,
    record,
    dialAll(spreadMs) {
      let index = 0;
      for (const cpe of cpes.values()) cpe.start((spreadMs * index++) / cpes.size);
    },
    churn: (everyMs, random) => churn([...cpes.values()], everyMs, random),
    live() {
      const live = new Map<string, SessionView[]>();
      for (const router of routers.values()) {
        for (const session of router.sessions()) {
          live.set(session.username, [...(live.get(session.username) ?? []), session]);
        }
      }
      return live;
    },
    async close() {
      for (const router of routers.values()) router.faults.set({ kind: 'deaf' });
      for (const cpe of cpes.values()) cpe.stop();
      await Promise.all([...routers.values()].map((router) => router.close()));
    },
  };
}

function cpeOf(person: Person, routers: ReadonlyMap<string, LabRouter>): Cpe {
  const { username, password, mac } = person;
  // Kept low, so that no session reaches a limit of any kind in a story.
  return new Cpe({ username, password, mac, usage: 0.05 }, () => routers.get(person.router), redialMs);
}

function churn(cpes: readonly Cpe[], everyMs: number, random: () => number): () => void {
  const timer = setInterval(() => {
    const cpe = cpes[Math.floor(random() * cpes.length)];
    if (cpe?.view().state !== 'online') return;
    cpe.stop();
    cpe.start(200 + random() * 800);
  }, everyMs);
  return () => clearInterval(timer);
}
