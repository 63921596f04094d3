import { setTimeout as wait } from 'node:timers/promises';
import type { Trouble } from './fault-plan.ts';
import type { World } from './world.ts';

/** Lets one thing go wrong, and ends when it is over (save what waits for a COMMIT). */
export async function carryOut(world: World, trouble: Trouble): Promise<void> {
  switch (trouble.kind) {
    case 'kill':
      world.processes.get(trouble.process)?.kill(trouble.againMs);
      return;
    case 'kill_at_commit':
    case 'cut_at_commit': {
      const victim = world.processes.get(trouble.process);
      victim?.wire.arm({
        moment: trouble.moment,
        skips: trouble.skips,
        ...(trouble.kind === 'kill_at_commit' ? { kill: () => victim.kill(trouble.againMs) } : {}),
      });
      return;
    }
    case 'freeze': {
      const victim = world.processes.get(trouble.process);
      victim?.freeze();
      await wait(trouble.ms);
      victim?.thaw();
      return;
    }
    case 'database_kill': {
      const node = world.place.database.nodes[trouble.node];
      await node?.kill();
      await wait(trouble.downMs);
      await node?.start();
      return;
    }
    case 'database_freeze': {
      const node = world.place.database.nodes[trouble.node];
      node?.freeze();
      await wait(trouble.ms);
      node?.thaw();
      return;
    }
    case 'database_split': {
      const node = world.place.database.nodes[trouble.node];
      await node?.isolate?.();
      await wait(trouble.ms);
      await node?.rejoin?.();
      return;
    }
    case 'disk_full':
      return fillDisk(world, trouble.ms);
    case 'radius_kill':
      await world.radius.kill();
      await wait(trouble.downMs);
      await world.radius.start();
      return;
    case 'router': {
      const router = world.lab.routers.get(trouble.router);
      router?.faults.set(trouble.fault);
      await wait(trouble.ms);
      router?.faults.clear(trouble.fault.kind);
      return;
    }
    case 'reboot':
      await world.lab.routers.get(trouble.router)?.reboot({ isSilent: trouble.isSilent });
  }
}

/** A server that gave up for want of room is started again once there is some. */
async function fillDisk(world: World, ms: number): Promise<void> {
  const { database } = world.place;
  database.disk?.fill();
  await wait(ms);
  database.disk?.free();
  await database.start();
}

/** Nothing goes wrong from here on: everything that a killed process or a fault left is running and clear again. */
export async function endTroubles(world: World): Promise<void> {
  for (const one of world.processes.values()) {
    one.wire.disarm();
    one.thaw();
    one.start();
  }
  for (const router of world.lab.routers.values()) router.faults.clear();
  world.place.database.disk?.free();
  for (const node of world.place.database.nodes) node.thaw();
  await world.place.database.start();
}
