import { setTimeout as wait } from 'node:timers/promises';
import type { App } from '../app.ts';
import { describeError } from '../log.ts';

/**
 * Work that a page began and does not wait for. What makes it certain is never this process: the page first writes down
 * that the work is wanted, and the timetable's resume goes on with it should this process die.
 */
interface Background {
  readonly running: Map<string, Promise<void>>;
  readonly stopping: AbortController;
}

const byApp = new WeakMap<App, Background>();

function backgroundOf(app: App): Background {
  let background = byApp.get(app);
  if (background === undefined) {
    background = { running: new Map(), stopping: new AbortController() };
    byApp.set(app, background);
  }
  return background;
}

/**
 * Begins the work and gives whether it did: not when work of that name is under way in this process, nor while it
 * stops. The work looks at the signal between its batches and ends early when it is aborted.
 */
export function runInBackground(
  app: App,
  name: string,
  work: (signal: AbortSignal) => Promise<unknown>,
): boolean {
  const { running, stopping } = backgroundOf(app);
  if (running.has(name) || stopping.signal.aborted) return false;
  const done = (async () => {
    // The answer goes out first.
    await wait(0);
    try {
      await work(stopping.signal);
    } catch (error) {
      if (stopping.signal.aborted) app.log.info('work is left to the timetable', { work: name });
      else app.log.error('work in the background failed', { work: name, error: describeError(error) });
    } finally {
      running.delete(name);
    }
  })();
  running.set(name, done);
  return true;
}

/** Whether work of that name is under way in this process. */
export function isInBackground(app: App, name: string): boolean {
  return backgroundOf(app).running.has(name);
}

/** Waits until all that is under way has ended. */
export async function backgroundEnds(app: App): Promise<void> {
  await Promise.all(backgroundOf(app).running.values());
}

/** Begins nothing more, asks what is under way to end after its batch, and waits for that at most so long. */
export async function stopBackground(app: App, withinMs: number): Promise<void> {
  const { running, stopping } = backgroundOf(app);
  stopping.abort();
  const patience = new AbortController();
  await Promise.race([
    backgroundEnds(app),
    wait(withinMs, undefined, { signal: patience.signal }).catch(() => undefined),
  ]);
  patience.abort();
  if (running.size > 0) app.log.warn('stopped with work under way', { work: [...running.keys()] });
}
