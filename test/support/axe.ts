import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { projectRoot } from '../../scripts/servers/place.ts';

const source = readFileSync(join(projectRoot, 'node_modules/axe-core/axe.min.js'), 'utf8');

interface Violation {
  id: string;
  help: string;
  nodes: { target: string[]; html: string }[];
}

/**
 * What is wrong with the page that stands in the window: WCAG 2 A and AA in the light theme, contrast again in the dark
 * one, and whether it scrolls sideways on a phone. Afterwards the window is as wide and as light as before.
 */
export async function faultsOfPage(page: Page): Promise<string[]> {
  await page.evaluate(source);
  const light = await runAxe(page, "{ type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }");
  await page.evaluate("document.documentElement.dataset.bsTheme = 'dark'");
  // All else is the same in both themes.
  const dark = await runAxe(page, "{ type: 'rule', values: ['color-contrast'] }");
  await page.evaluate("document.documentElement.dataset.bsTheme = 'light'");
  const sideways = await overflowAt(page, 390);
  return [
    ...light,
    ...dark.map((fault) => `in the dark: ${fault}`),
    ...(sideways === null ? [] : [`scrolls sideways at 390 px: ${sideways}`]),
  ];
}

async function runAxe(page: Page, runOnly: string): Promise<string[]> {
  const violations = await page.evaluate<Violation[]>(
    `axe.run(document, { runOnly: ${runOnly}, resultTypes: ['violations'] }).then((result) => result.violations)`,
  );
  return violations.map(({ id, help, nodes }) => {
    const where = nodes.slice(0, 3).map((node) => `${node.target.join(' ')} ${node.html.slice(0, 160)}`);
    return `${id}: ${help} (${nodes.length}): ${where.join(' | ')}`;
  });
}

/** The widest things that stick out, or null. Charts are given the moment that they take to fit. */
async function overflowAt(page: Page, width: number): Promise<string | null> {
  const before = page.viewportSize() ?? { width: 1440, height: 900 };
  await page.setViewportSize({ width, height: 844 });
  // Asked from here: a function that waits in the page would be eval, which the pages forbid.
  for (let tries = 0; tries < 30; tries++) {
    if (await page.evaluate<boolean>(fits)) break;
    await page.waitForTimeout(50);
  }
  const found = (await page.evaluate<boolean>(fits)) ? null : await page.evaluate<string>(widest);
  await page.setViewportSize(before);
  return found;
}

const fits = 'document.documentElement.scrollWidth <= document.documentElement.clientWidth';
const widest = `[...document.querySelectorAll('main *, header *')]
  .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    && one.closest('.table-responsive, pre') === null)
  .slice(0, 4).map((one) => one.outerHTML.slice(0, 160)).join(' | ')`;
