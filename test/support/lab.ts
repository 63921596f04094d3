import { LabRouter } from '../../scripts/lab/router.ts';
import type { RouterOptions } from '../../scripts/lab/settings.ts';

export interface TestRouterOptions extends Partial<RouterOptions> {
  readonly secret: string;
  /** Ports of the servers on 127.0.0.1. */
  readonly authPort: number;
  readonly acctPort: number;
}

export interface TestLab {
  /** A router with an address of its own on loopback and a free CoA port, closed after the test (or by `close`). */
  router(options: TestRouterOptions): Promise<LabRouter>;
  close(): Promise<void>;
}

let count = 0;

/** An address on loopback that no other lab router has, of this process or of another test run on this machine. */
export function labAddress(): string {
  count++;
  const block = Math.floor(process.pid / 128) + Math.floor(count / 250);
  return `127.${64 + (process.pid % 128)}.${block % 250}.${(count % 250) + 1}`;
}

/** Lab routers for a test. Whoever opens them closes them; see useLab for tests that open one each. */
export function openLab(): TestLab {
  const routers = new Set<LabRouter>();
  return {
    async router({ authPort, acctPort, ...options }) {
      const address = options.address ?? labAddress();
      const router = new LabRouter({
        name: `lab-${address}`,
        coaPort: 0,
        authServer: { address: '127.0.0.1', port: authPort },
        acctServer: { address: '127.0.0.1', port: acctPort },
        pools: { home: ['10.64.0.10', '10.64.0.250'], 'home-suspended': ['10.65.0.10', '10.65.0.250'] },
        ...options,
        address,
      });
      routers.add(router);
      return router.open();
    },
    async close() {
      await Promise.all([...routers].map((router) => router.close()));
      routers.clear();
    },
  };
}

/** Called inside a describe: a lab whose routers are closed after each test. */
export function useLab(): TestLab {
  const lab = openLab();
  afterEach(() => lab.close());
  return lab;
}
