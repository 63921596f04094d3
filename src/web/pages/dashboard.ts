import { dashboardCharts, dashboardFigures, owedByAgePart } from '../dashboard-view.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';

export const dashboardRoutes: readonly Route[] = [
  { method: 'get', path: '/', access: 'dashboard.view', handle: showDashboard },
  { method: 'get', path: '/dashboard/figures', access: 'dashboard.view', handle: showFigures },
  { method: 'get', path: '/dashboard/charts', access: 'dashboard.view', handle: showCharts },
];

async function showDashboard(page: Page): Promise<void> {
  page.render('admin/dashboard/show', {
    title: 'Dashboard',
    figures: await dashboardFigures(page),
    charts: await dashboardCharts(page),
    owed: await owedByAgePart(page),
  });
}

async function showFigures(page: Page): Promise<void> {
  if (page.wantsPart) page.renderPart('admin/dashboard/figures', { figures: await dashboardFigures(page) });
  else page.redirect('/');
}

async function showCharts(page: Page): Promise<void> {
  if (!page.wantsPart) {
    page.redirect('/');
    return;
  }
  page.renderPart('admin/dashboard/charts', {
    charts: await dashboardCharts(page),
    owed: await owedByAgePart(page),
  });
}
