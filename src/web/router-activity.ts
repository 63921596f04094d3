import { type Point, readFigures } from '../db/figures.ts';
import { packetsToRouter, rejectsOfRouter } from '../db/router-page.ts';
import { rejectWords } from '../domain/reject-words.ts';
import { chartOf, clockIn } from './dashboard-view.ts';
import type { Page } from './page.ts';
import { whyHref } from './why-href.ts';

const dayMs = 86_400_000;
const stepMs = 300_000;
const packetsMost = 5000;
const rejectsShown = 20;

const outcomes = {
  ack: { word: 'acknowledged', colour: 'full', symbol: 'check-circle-fill' },
  nak: { word: 'refused', colour: 'denied', symbol: 'x-octagon-fill' },
  timeout: { word: 'no answer', colour: 'denied', symbol: 'x-octagon-fill' },
  pending: { word: 'no answer yet', colour: 'pending', symbol: 'hourglass-split' },
  superseded: { word: 'given up for a newer one', colour: 'unknown', symbol: 'question-circle' },
  abandoned: { word: 'its sender ended before an answer', colour: 'unknown', symbol: 'question-circle' },
  unsent: { word: 'not sent', colour: 'unknown', symbol: 'question-circle' },
} as const;

/** What happened on a router lately: logins, refusals, and what it answered. */
export async function routerActivity(page: Page, routerId: string) {
  const { db } = page.app;
  const since = new Date(page.now.getTime() - dayMs);
  const series = await readFigures(db, ['router.starts', 'router.rejects'], since, routerId);
  const counted = await readFigures(db, ['online'], since);
  const full = withZeros(counted.get('online') ?? []);
  const packets = await packetsToRouter(db, routerId, since, packetsMost);
  return {
    chart: chartOf({
      id: 'chart-router',
      title: 'Sessions started and logins refused, the last 24 hours',
      note: 'In five minutes each.',
      unit: 'in 5 minutes',
      series: [
        { label: 'Sessions started', points: full(series.get('router.starts') ?? []) },
        { label: 'Logins refused', points: full(series.get('router.rejects') ?? []) },
      ],
      zone: page.settings.zone,
      stamp: clockIn(page.settings.zone),
    }),
    packets: packets.counts.map((one) => ({
      action: one.action === 'coa' ? 'CoA' : 'Disconnect',
      outcome: outcomes[one.outcome].word,
      colour: outcomes[one.outcome].colour,
      symbol: outcomes[one.outcome].symbol,
      count: one.count,
    })),
    isCut: packets.isCut,
    most: packetsMost,
    rejects: (await rejectsOfRouter(db, routerId, rejectsShown)).map((reject) => ({
      ...reject,
      why: rejectWords(reject.reason).why,
      whyHref: whyHref(reject.username),
    })),
  };
}

/** Only what happened is written down of a router: where the installation was counted and nothing is, it is a zero. */
function withZeros(counted: readonly Point[]): (points: readonly Point[]) => Point[] {
  const steps = [...new Set(counted.map((point) => Math.floor(point.at.getTime() / stepMs) * stepMs))];
  return (points) => {
    const known = new Set(points.map((point) => point.at.getTime()));
    const zeros = steps.filter((at) => !known.has(at)).map((at) => ({ at: new Date(at), value: 0n }));
    return [...points, ...zeros];
  };
}
