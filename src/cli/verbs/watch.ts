import { setTimeout as wait } from 'node:timers/promises';
import { watchTotals, type WatchTotals } from '../../db/watch.ts';
import { describeError } from '../../log.ts';
import { clockTime, time } from '../format.ts';
import { printable } from '../output.ts';
import type { Call, Terminal, Verb } from '../verb.ts';
import { type WatchEvent, WatchFeed } from '../watch-feed.ts';

const everyMs = 500;

const alternateScreen = '\u001b[?1049h\u001b[?25l';
const normalScreen = '\u001b[?25h\u001b[?1049l';

export const watch: Verb = {
  name: 'watch',
  group: 'Operation',
  summary: 'logins, sessions, decisions and packets as they happen',
  options: {
    login: { value: 'USERNAME', about: 'of one login only' },
    tail: {
      value: 'NUMBER',
      about: 'begins with about so many older ones of each kind; 20 on a terminal, else 0',
    },
    seconds: { value: 'NUMBER', about: 'ends by itself' },
  },
  details: [
    'On a terminal it refreshes in place until Ctrl-C; piped, it prints a line for each event; with --json, a JSON document for each.',
  ],
  examples: ['watch', 'watch --login amina', 'watch --json --seconds 60'],
  async run(call) {
    const { db } = call.app();
    const end = endOf(call);
    const screen =
      call.terminal === undefined || call.out.isJson ? undefined : new Screen(call, call.terminal);
    const feed = await WatchFeed.open(
      db,
      call.clock.now(),
      call.whole('tail') ?? (screen === undefined ? 0 : 20),
    );
    const only = call.maybeText('login')?.toLowerCase();
    const { zone } = await call.settings();
    screen?.open();
    try {
      while (!call.signal.aborted && performance.now() < end) {
        const events = await lookOrWait(call, feed);
        const wanted = events.filter((event) => only === undefined || event.username === only);
        if (screen === undefined) for (const event of wanted) print(call, event, zone);
        else screen.draw(wanted, await totalsOrNothing(call), zone);
        await wait(everyMs, undefined, { signal: call.signal }).catch(() => undefined);
      }
    } finally {
      screen?.close();
    }
    return undefined;
  },
};

function endOf(call: Call): number {
  const seconds = call.whole('seconds');
  return seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + seconds * 1000;
}

/** A database that is away for a moment does not end the watch: it says so and looks again. */
async function lookOrWait(call: Call, feed: WatchFeed): Promise<WatchEvent[]> {
  try {
    return await feed.look(call.clock.now());
  } catch (error) {
    const { code, message } = describeError(error);
    const at = call.clock.now();
    const text = `no answer from the database (${code ?? message})`;
    return [{ at, kind: 'access', username: '', text, facts: { error: text } }];
  }
}

async function totalsOrNothing(call: Call): Promise<WatchTotals | undefined> {
  try {
    return await watchTotals(call.app().db);
  } catch {
    return undefined;
  }
}

function print(call: Call, event: WatchEvent, zone: string): void {
  const { at, kind, username, facts } = event;
  call.out.event({ at, kind, username, ...facts }, `${clockTime(at, zone)}  ${printable(event.text)}`);
}

/** The terminal as a screen that is redrawn: totals above, the newest events below. */
class Screen {
  private readonly call: Call;
  private readonly terminal: Terminal;
  private events: WatchEvent[] = [];

  constructor(call: Call, terminal: Terminal) {
    this.call = call;
    this.terminal = terminal;
  }

  open(): void {
    this.call.out.raw(alternateScreen);
  }

  /** Whatever ended the watch, the terminal is as it was before. */
  close(): void {
    this.call.out.raw(normalScreen);
  }

  draw(events: readonly WatchEvent[], totals: WatchTotals | undefined, zone: string): void {
    // A terminal that does not know its size says 0.
    const columns = Math.max(40, this.terminal.columns() || 100);
    const rows = Math.max(8, this.terminal.rows() || 30);
    this.events = [...this.events, ...events].slice(-500);
    const head = headLines(totals, time(this.call.clock.now(), zone));
    const body = this.events
      .slice(-(rows - head.length - 1))
      .map((event) => `${clockTime(event.at, zone)}  ${printable(event.text)}`);
    // Each line is cleared behind its text and the rest below, so that nothing flickers.
    const lines = [...head, ...body].map((line) => `${line.slice(0, columns - 1)}\u001b[K`);
    this.call.out.raw(`\u001b[H${lines.join('\r\n')}\u001b[J`);
  }
}

function headLines(totals: WatchTotals | undefined, now: string): string[] {
  if (totals === undefined) return [`sluice watch   ${now}   the database does not answer`, ''];
  const { logins } = totals;
  return [
    `sluice watch   ${now}   Ctrl-C ends it`,
    `${totals.openSessions} sessions   logins: ${logins.full} full, ${logins.throttled} throttled, ${logins.walled_garden} walled, ${logins.denied} denied   ` +
      `queue: ${totals.waiting} waiting, ${totals.parked} parked   ${totals.silentRouters} routers silent`,
    '',
  ];
}
