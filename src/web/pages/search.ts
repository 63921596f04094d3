import { textQuery } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { findHits } from '../search-hits.ts';

export const searchRoutes: readonly Route[] = [
  { method: 'get', path: '/search', access: 'subscriber.view', handle: showResults },
  { method: 'get', path: '/search/suggest', access: 'subscriber.view', handle: showSuggestions },
];

const groupSize = 20;
const suggestedSize = 5;

/** Straight to the page where there is one hit, or one exact one; `all=yes` shows the rest of them too. */
async function showResults(page: Page): Promise<void> {
  const text = textQuery(page, 'q');
  const found = await findHits(page, text, groupSize);
  if (found.only !== null && textQuery(page, 'all') !== 'yes') {
    page.redirect(found.only);
    return;
  }
  page.render('admin/search/results', {
    title: 'Search',
    text,
    groups: found.groups,
    count: found.count,
    groupSize,
  });
}

async function showSuggestions(page: Page): Promise<void> {
  const text = textQuery(page, 'q');
  if (!page.wantsPart) {
    page.redirect(`/search?q=${encodeURIComponent(text)}`);
    return;
  }
  const found = text.length < 2 ? { groups: [], count: 0 } : await findHits(page, text, suggestedSize);
  page.renderPart('admin/search/suggestions', {
    text,
    groups: found.groups,
    count: found.count,
    all: `/search?all=yes&q=${encodeURIComponent(text)}`,
  });
}
