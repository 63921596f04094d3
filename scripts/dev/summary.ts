import type { Demo } from '../seed/demo.ts';
import type { Home } from './home.ts';

/** What a newcomer needs next: where things answer, who can sign in, who can dial, and what to try. */
export function summaryOf(
  home: Home,
  demo: Demo,
  staff: readonly { username: string; role: string }[],
): string {
  const { env } = home;
  const lines = [
    '',
    'Sluice is running.',
    '',
    `  Pages         http://127.0.0.1:${env['SLUICE_WEB_PORT'] ?? ''}`,
    `  RADIUS        127.0.0.1, authentication ${env['SLUICE_RADIUS_AUTH_PORT'] ?? ''}, accounting ${env['SLUICE_RADIUS_ACCT_PORT'] ?? ''} (UDP)`,
    `  MariaDB       127.0.0.1:${env['SLUICE_DB_PORT'] ?? ''}, database ${env['SLUICE_DB_NAME'] ?? ''}`,
    `  Lab control   http://127.0.0.1:${env['SLUICE_LAB_PORT'] ?? ''}`,
    `  Data, logs    ${home.folder}`,
  ];
  if (staff.length > 0) {
    lines.push('', `  Sign in to the pages as ${staff.map((one) => one.username).join(', ')}`);
    lines.push(`  with the password ${env['SLUICE_DEMO_PASSWORD'] ?? ''} (of this demo only)`);
  }
  if (demo.isDemo) {
    lines.push('', '  Demo logins (RADIUS):', '', table(demo));
  }
  lines.push(
    '',
    '  Try:  scripts/sluice doctor',
    `        scripts/sluice access ${demo.logins[0]?.username ?? 'USERNAME'}`,
    '        scripts/sluice watch',
    '  Stop: scripts/stop',
    '',
  );
  return lines.join('\n');
}

function table(demo: Demo): string {
  const rows = [
    ['username', 'password', 'router', 'what to expect'],
    ...demo.logins.map((login) => [login.username, login.password, login.router, login.expect]),
  ];
  const widths = [0, 1, 2].map((column) =>
    Math.min(34, Math.max(...rows.map((row) => row[column]?.length ?? 0))),
  );
  return rows
    .map(
      (row) =>
        `    ${row.map((cell, column) => (column < 3 ? cell.padEnd(widths[column] ?? 0) : cell)).join('  ')}`,
    )
    .join('\n');
}
