import { systemClock } from '../../src/clock.ts';
import { type DbAddress, openDb } from '../../src/db/knex.ts';
import { createLog } from '../../src/log.ts';
import { type RadiusAgentDeps, startRadiusAgent } from '../../src/reconcile/radius-agent.ts';

/** An agent in a process of its own, so that a test can kill it. Its argument is JSON. */
export interface AgentArguments {
  db: DbAddress;
  host: string;
  freeradius: RadiusAgentDeps['freeradius'];
}

const { db, host, freeradius } = JSON.parse(process.argv[2] ?? '') as AgentArguments;
startRadiusAgent({
  db: openDb(db),
  clock: systemClock,
  log: createLog({ level: 'error', role: 'radius-agent' }),
  host,
  freeradius,
});
process.stdout.write('started\n');
