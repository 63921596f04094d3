import { checkDatabase } from '../doctor/database.ts';
import type { Finding, Health } from '../doctor/finding.ts';
import { broken } from '../doctor/finding.ts';
import { checkFreeRadius, checkFreeRadiusAlone } from '../doctor/freeradius.ts';
import { checkWork } from '../doctor/work.ts';
import { describeError } from '../../log.ts';
import { table } from '../output.ts';
import type { App } from '../../app.ts';
import type { Verb } from '../verb.ts';

const marks: Record<Health, string> = { ok: 'ok', look: 'LOOK', broken: 'BROKEN', unknown: 'unknown' };

const areas: readonly { name: string; check: (app: App) => Promise<Finding[]> }[] = [
  { name: 'database', check: checkDatabase },
  { name: 'FreeRADIUS', check: checkFreeRadius },
  { name: 'Sluice', check: checkWork },
];

const whereDatabase =
  'is MariaDB running, and do SLUICE_DB_HOST, SLUICE_DB_PORT and SLUICE_DB_USER say where and who? What follows is all that can be told without it';

export const doctor: Verb = {
  name: 'doctor',
  group: 'Operation',
  summary: 'checks every part, and says what to do',
  details: [
    'LOOK works and should be looked at; BROKEN does not work; unknown could not be seen from this host. A test login that nobody has is refused, and one that should be accepted is tried, so FreeRADIUS notes one reject for "sluice-doctor". Exit code 1 when something is broken.',
  ],
  examples: ['doctor', 'doctor --json'],
  async run(call) {
    const app = call.app();
    const findings: Finding[] = [];
    for (const area of areas) {
      call.out.progress(`looking at ${area.name}`);
      try {
        findings.push(...(await area.check(app)));
      } catch (error) {
        const described = describeError(error);
        const found = `could not be checked: ${described.code ?? described.message}`;
        if (area.name !== 'database') {
          findings.push(broken(area.name, found, 'mend what is broken above it first'));
          continue;
        }
        findings.push(broken(area.name, found, whereDatabase), ...(await checkFreeRadiusAlone(app)));
        // Without its database, nothing else can be told from anything.
        break;
      }
    }
    const number = (health: Health) => findings.filter((finding) => finding.health === health).length;
    const isBroken = number('broken') > 0;
    call.out.show({ ok: !isBroken, findings }, () => [
      ...table(
        ['', 'PART', 'FOUND'],
        findings.map((finding) => [marks[finding.health], finding.part, finding.found]),
      ),
      ...findings.flatMap((finding) =>
        finding.advice === undefined || finding.health === 'ok'
          ? []
          : ['', `${finding.part}: ${finding.found}`, `  -> ${finding.advice}`],
      ),
      '',
      `${number('ok')} ok, ${number('look')} to look at, ${number('broken')} broken, ${number('unknown')} unknown.`,
    ]);
    return isBroken ? 1 : 0;
  },
};
