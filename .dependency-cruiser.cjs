// The import direction of docs/ARCHITECTURE.md, as a rule that fails the build.
// main -> roles -> app -> { web, jobs, cli } -> { commands, reconcile } -> { db, adapters } -> domain; leaves at the end.
const commands = '^src/(subscribers|catalog|billing|network|staff)/';
const outer = '^src/(main|roles|app)\\.ts$|^src/(web|jobs|cli)/';
module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'domain-is-pure',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: ['^src/domain/', '^(node:)?crypto$', 'temporal-polyfill'] },
    },
    {
      name: 'db-and-adapters-lean-on-domain-only',
      severity: 'error',
      from: { path: '^src/(db|adapters)/' },
      to: { path: [outer, commands, '^src/reconcile/'] },
    },
    {
      name: 'adapters-do-not-read-the-database',
      severity: 'error',
      from: { path: '^src/adapters/' },
      to: { path: '^src/db/' },
    },
    {
      name: 'db-has-no-adapters',
      severity: 'error',
      from: { path: '^src/db/' },
      to: { path: '^src/adapters/' },
    },
    {
      name: 'commands-do-not-enforce',
      severity: 'error',
      from: { path: commands },
      to: { path: [outer, '^src/reconcile/', '^src/adapters/(radius|routeros)/'] },
    },
    {
      name: 'reconcile-is-not-a-command',
      severity: 'error',
      from: { path: '^src/reconcile/' },
      to: { path: [outer, commands] },
    },
    {
      name: 'leaves-lean-on-nothing',
      severity: 'error',
      from: { path: '^src/(clock|errors|log|config)\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(clock|errors|log|config)\\.ts$' },
    },
    {
      name: 'only-reconcile-sends-coa-or-changes-a-router',
      severity: 'error',
      from: { pathNot: '^src/(reconcile/|adapters/|app\\.ts$|main\\.ts$)' },
      to: { path: '^src/adapters/(radius|routeros)/|^src/adapters/freeradius/client-files' },
    },
    {
      name: 'only-reconcile-writes-radius-rows',
      severity: 'error',
      from: { pathNot: '^src/(reconcile|db)/' },
      to: { path: '^src/db/radius-rows\\.ts$' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
  },
};
