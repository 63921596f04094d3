import { runActions, runSummary, type RunSummary } from '../../db/overdue-reports.ts';
import { latestRuns, type OverdueRun } from '../../db/overdue-runs.ts';
import type { OverdueRunId } from '../../domain/ids.ts';
import { notFound } from '../../errors.ts';
import { count, money, time } from '../format.ts';
import { facts, table } from '../output.ts';
import type { Call, Verb } from '../verb.ts';
import { effectText, runIdOf } from '../overdue-words.ts';

const listed = 200;

export const overdueRunList: Verb = {
  name: 'overdue-run list',
  group: 'Money',
  summary: 'the newest overdue runs',
  options: { limit: { value: 'NUMBER', about: 'at most so many; 20 where it is left out' } },
  examples: ['overdue-run list'],
  async run(call) {
    const runs = await latestRuns(call.app().db, { limit: Math.min(call.whole('limit') ?? 20, 500) });
    const settings = await call.settings();
    call.out.show({ ok: true, runs }, () =>
      runs.length === 0
        ? ['No overdue run yet.']
        : table(
            [
              { title: 'RUN', isRight: true },
              'AS OF',
              'STATE',
              { title: 'PLANNED', isRight: true },
              { title: 'OWED', isRight: true },
              'BY',
              'AT',
            ],
            runs.map((run) => [
              run.id,
              run.asOf,
              run.state.replace('_', ' '),
              `${run.plannedCount} of ${run.subjectCount}`,
              money(run.plannedOpenMinor, settings),
              run.requestedBy,
              time(run.requestedAt, settings.zone),
            ]),
          ),
    );
    return undefined;
  },
};

export const overdueRunShow: Verb = {
  name: 'overdue-run show',
  group: 'Money',
  summary: 'one run: whom it suspended, and what came back from the network',
  positionals: [{ name: 'ID' }],
  examples: ['overdue-run show 12'],
  async run(call) {
    const shown = await runLines(call, runIdOf(call.positional('ID'), 'ID'));
    call.out.show({ ok: true, ...shown.data }, () => shown.lines);
    return undefined;
  },
};

/** A run with its totals, its evidence and its first actions, as data and as text. */
export async function runLines(
  call: Call,
  runId: OverdueRunId,
): Promise<{ run: OverdueRun; data: Record<string, unknown>; lines: string[] }> {
  const { db } = call.app();
  const summary = await runSummary(db, runId);
  if (summary === undefined) throw notFound(`run ${runId}`);
  const actions = await runActions(db, runId, { limit: listed });
  const settings = await call.settings();
  const lines = [
    ...summaryLines(summary, settings),
    ...(actions.length === 0 ? [] : ['']),
    ...(actions.length === 0
      ? []
      : table(
          ['SUBSCRIBER', 'NAME', 'LOGINS', { title: 'OWES', isRight: true }, 'WHAT', 'STATE', 'WHY'],
          actions.map((action) => [
            `#${action.subscriberId}`,
            action.subscriberName,
            action.usernames.join(', '),
            money(action.openMinor, settings),
            effectText(action),
            stateText(action),
            action.why.replaceAll('_', ' '),
          ]),
        )),
    ...(actions.length < listed ? [] : [`Only the first ${listed} are listed; --json says the same.`]),
  ];
  return { run: summary.run, data: { ...summary, actions }, lines };
}

function stateText(action: { state: string; suspension: { closedBecause: string | null } | null }): string {
  const ended = action.suspension?.closedBecause;
  const words = [action.state, ...(ended == null || ended === action.state ? [] : [ended])];
  return words.map((word) => word.replaceAll('_', ' ')).join(', then ');
}

function summaryLines(
  summary: RunSummary,
  settings: { zone: string; currency: string; exponent: number },
): string[] {
  const { run, counts, evidence } = summary;
  const at = (instant: Date | null) => (instant === null ? undefined : time(instant, settings.zone));
  const states = Object.entries(counts).filter(([, number]) => number > 0);
  return facts([
    ['run', `${run.id} as of ${run.asOf}: ${run.state.replace('_', ' ')}`],
    ['asked for', `${run.requestedBy}, ${time(run.requestedAt, settings.zone)}`],
    ['held', run.heldBecause ?? undefined],
    ['approved', run.approvedBy === null ? undefined : `${run.approvedBy}, ${at(run.approvedAt) ?? ''}`],
    ['finished', at(run.finishedAt)],
    [
      'rolled back',
      run.rolledBackBy === null
        ? undefined
        : `${run.rolledBackBy}, ${at(run.rolledBackAt) ?? ''}: ${run.rollbackNote ?? ''}`,
    ],
    [
      'planned',
      `${run.plannedCount} of ${run.subjectCount} subscriptions, owing ${money(run.plannedOpenMinor, settings)}`,
    ],
    [
      'actions',
      states.length === 0
        ? 'none'
        : states.map(([state, number]) => `${number} ${state.replace('_', ' ')}`).join(', '),
    ],
    [
      'because',
      summary.why.length === 0
        ? undefined
        : summary.why.map((row) => `${row.count} ${row.state}: ${row.why.replaceAll('_', ' ')}`),
    ],
    [
      'network',
      counts.applied + counts.rolled_back === 0
        ? undefined
        : `${count(evidence.logins, 'login')}, ${evidence.decided} decided; ${evidence.acknowledged} acknowledged, ${evidence.confirmed} confirmed, ` +
          `${evidence.refused} refused, ${evidence.silent} silent, ${evidence.nothingSent} with nothing to send`,
    ],
  ]);
}
