import { setTimeout as wait } from 'node:timers/promises';
import { staffPassword } from './isp.ts';

export interface PageAnswer {
  readonly status: number;
  readonly text: string;
  readonly location: string | null;
}

/** What no client should ever see: asked again for the whole time, and still no answer. */
export class NoAnswer extends Error {}

const patienceMs = 180_000;
const answerMs = 15_000;

/**
 * Somebody at a browser, who asks again when a page does not come: the other process, the same form, the same key. A page
 * that came, with whatever it says, is an answer.
 */
export class Client {
  readonly #urls: readonly string[];
  readonly #cookies = new Map<string, string>();
  #token = '';
  #turn = 0;
  /** Requests that were sent again. */
  repeats = 0;

  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  async signIn(username: string): Promise<void> {
    await this.get('/sign-in');
    const answer = await this.post('/sign-in', { username, password: staffPassword });
    if (answer.status !== 303) throw new Error(`${username} was not signed in: ${answer.status}`);
    await this.get('/routers/new');
  }

  get(path: string): Promise<PageAnswer> {
    return this.#ask(path, () => ({ method: 'GET' }));
  }

  post(path: string, fields: Readonly<Record<string, string>> = {}): Promise<PageAnswer> {
    return this.#ask(path, () => ({
      method: 'POST',
      body: new URLSearchParams({ ...fields, _csrf: this.#token }),
    }));
  }

  async #ask(path: string, init: () => RequestInit): Promise<PageAnswer> {
    const end = performance.now() + patienceMs;
    for (;;) {
      const answer = await this.#once(path, init()).catch(() => undefined);
      // 5xx is Sluice saying that it could not do it now; so is a page that never comes.
      if (answer !== undefined && answer.status < 500) return answer;
      if (performance.now() > end) {
        throw new NoAnswer(`${path}: ${answer === undefined ? 'no answer' : `status ${answer.status}`}`);
      }
      this.repeats++;
      await wait(200 + Math.random() * 400);
    }
  }

  async #once(path: string, init: RequestInit): Promise<PageAnswer> {
    const url = this.#urls[this.#turn++ % this.#urls.length] ?? '';
    const response = await fetch(url + path, {
      ...init,
      redirect: 'manual',
      signal: AbortSignal.timeout(answerMs),
      headers: { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    const text = await response.text();
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    this.#token = /name="_csrf" value="([^"]+)"/.exec(text)?.[1] ?? this.#token;
    return { status: response.status, text, location: response.headers.get('location') };
  }
}
