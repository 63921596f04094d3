import { type Browser, chromium, type Page } from 'playwright-core';
import { findProgram } from '../../scripts/servers/place.ts';

export interface TabOptions {
  readonly scheme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
  /** False: what the pages do for somebody without scripts. */
  readonly hasScripts?: boolean;
}

/** A window with cookies of its own, and what went wrong in it: script errors, requests without an answer, missing files. */
export interface Tab {
  readonly page: Page;
  readonly faults: string[];
  signIn(url: string, username: string, password: string): Promise<void>;
  /** Where the window is and what stands there, for the report of a test that failed. */
  whatItShows(): Promise<string>;
  close(): Promise<void>;
}

export interface TestBrowser {
  open(options?: TabOptions): Promise<Tab>;
  close(): Promise<void>;
}

/** Debian's Chromium. It reaches loopback only, as everything in the tests. */
export async function openBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({
    executablePath: requireChromium(),
    args: [
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--no-first-run',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      // Chromium refuses to lock itself in when root starts it.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ],
  });
  return { open: (options = {}) => openTab(browser, options), close: () => browser.close() };
}

function requireChromium(): string {
  const path = findProgram('chromium');
  if (path === undefined) {
    throw new Error('Chromium is not installed; the browser tests need it: apt-get install chromium');
  }
  return path;
}

async function openTab(browser: Browser, options: TabOptions): Promise<Tab> {
  const context = await browser.newContext({
    colorScheme: options.scheme ?? 'light',
    viewport: { width: options.width ?? 1440, height: options.height ?? 900 },
    javaScriptEnabled: options.hasScripts ?? true,
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const faults: string[] = [];
  watch(page, faults);
  return {
    page,
    faults,
    async signIn(url, username, password) {
      await page.goto(`${url}/sign-in?next=/account`);
      await page.getByLabel('Username').fill(username);
      await page.getByLabel('Password').fill(password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
    },
    async whatItShows() {
      const text = await page.locator('main').innerText({ timeout: 1000 });
      return `${page.url()}\n${text.slice(0, 3000)}`;
    },
    close: () => context.close(),
  };
}

function watch(page: Page, faults: string[]): void {
  const where = () => new URL(page.url()).pathname;
  page.on('pageerror', (error) => faults.push(`${where()}: ${error.message}`));
  page.on('console', (message) => {
    // What a server refuses is judged by its status below; a refused form is no fault.
    if (message.type() !== 'error' || message.text().startsWith('Failed to load resource')) return;
    faults.push(`${where()}: ${message.text()}`);
  });
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? 'failed';
    // A poll that a change of page cuts off.
    if (why !== 'net::ERR_ABORTED') faults.push(`${where()}: ${request.url()} ${why}`);
  });
  page.on('response', (response) => {
    const isPage = response.request().resourceType() === 'document';
    if (response.status() >= 500 || (response.status() >= 400 && !isPage)) {
      faults.push(`${where()}: ${response.url()} answered ${response.status()}`);
    }
  });
}

/** Inside a describe: after each test nothing may have gone wrong in the tabs, and a failed one says what they show. */
export function watchTabs(tabs: () => readonly Tab[]): void {
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') {
      const shown = await Promise.all(tabs().map((tab) => tab.whatItShows().catch(() => 'no page')));
      process.stderr.write(`${shown.join('\n\n')}\n`);
    }
    const faults = tabs().flatMap((tab) => tab.faults.splice(0));
    if (faults.length > 0) throw new Error(`faults in the browser:\n${faults.join('\n')}`);
  });
}
