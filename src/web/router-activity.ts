import { readFigures } from '../db/figures.ts';
import { packetsToRouter, rejectsOfRouter } from '../db/router-page.ts';
import { rejectWords } from '../domain/reject-words.ts';
import { chartOf, clockIn } from './dashboard-view.ts';
import type { Page } from './page.ts';

const dayMs = 86_400_000;
const packetsMost = 5000;
const rejectsShown = 20;

const outcomes = {
  ack: { word: 'acknowledged', colour: 'full' },
  nak: { word: 'refused', colour: 'denied' },
  timeout: { word: 'no answer', colour: 'denied' },
  pending: { word: 'no answer yet', colour: 'pending' },
  superseded: { word: 'given up for a newer one', colour: 'unknown' },
  abandoned: { word: 'its sender ended before an answer', colour: 'unknown' },
  unsent: { word: 'not sent', colour: 'unknown' },
} as const;

/** What happened on a router lately: logins, refusals, and what it answered. */
export async function routerActivity(page: Page, routerId: string) {
  const { db } = page.app;
  const since = new Date(page.now.getTime() - dayMs);
  const series = await readFigures(db, ['router.starts', 'router.rejects'], since, routerId);
  const packets = await packetsToRouter(db, routerId, since, packetsMost);
  return {
    chart: chartOf({
      id: 'chart-router',
      title: 'Sessions started and logins refused, the last 24 hours',
      note: 'In five minutes each.',
      unit: 'in 5 minutes',
      series: [
        { label: 'Sessions started', points: series.get('router.starts') ?? [] },
        { label: 'Logins refused', points: series.get('router.rejects') ?? [] },
      ],
      zone: page.settings.zone,
      stamp: clockIn(page.settings.zone),
    }),
    packets: packets.counts.map((one) => ({
      action: one.action === 'coa' ? 'CoA' : 'Disconnect',
      outcome: outcomes[one.outcome].word,
      colour: outcomes[one.outcome].colour,
      count: one.count,
    })),
    isCut: packets.isCut,
    most: packetsMost,
    rejects: (await rejectsOfRouter(db, routerId, rejectsShown)).map((reject) => ({
      ...reject,
      why: rejectWords(reject.reason).why,
    })),
  };
}
