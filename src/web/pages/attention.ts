import { giveUpKey, retryKey, retryKeys, settleParkedSubscription } from '../../network/attention.ts';
import {
  attentionCounts,
  type AttentionKind,
  attentionKinds,
  type AttentionList,
  attentionList,
  attentionPage,
} from '../attention-view.ts';
import { type FieldErrors, tryForm, typed } from '../form.ts';
import { keysetOf, listSize, placeText, textQuery, withQuery } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';

export const attentionRoutes: readonly Route[] = [
  { method: 'get', path: '/attention', access: 'attention.view', handle: (page) => showList(page, null) },
  { method: 'post', path: '/attention/retry', access: 'attention.act', handle: doRetryAll },
  { method: 'post', path: '/attention/keys/:id/retry', access: 'attention.act', handle: doRetry },
  { method: 'post', path: '/attention/keys/:id/give-up', access: 'attention.act', handle: doGiveUp },
  { method: 'post', path: '/attention/parked/:id/settle', access: 'attention.act', handle: doSettle },
];

/** Of each kind: there are several on one page, and each line has a form of its own. */
const sectionSize = 25;

/** What was typed beside one line of the list, when it was refused. */
interface Refused {
  readonly line: string;
  readonly note: string;
  readonly errors: FieldErrors;
}

async function showList(page: Page, refused: Refused | null): Promise<void> {
  const only = attentionKinds.find((kind) => kind === textQuery(page, 'show')) ?? null;
  const { list, next } = await listOf(page, only);
  const counts = await attentionCounts(page.app);
  const noteOf = (line: string) => (refused?.line === line ? refused.note : '');
  const data = {
    title: only === null ? 'Needs attention' : titles[only],
    crumbs: only === null ? [] : [{ label: 'Needs attention', href: '/attention' }],
    only,
    pager: {
      previous: null,
      next: next === null ? null : withQuery(page, { after: placeText(next), before: null }),
    },
    first: only !== null && keysetOf(page) !== null ? withQuery(page, { after: null, before: null }) : null,
    counts,
    shown: sectionSize,
    isLong: {
      keys: only === null && counts.keys > sectionSize,
      subscriptions: only === null && counts.subscriptions > sectionSize,
      faults: only === null && counts.clients > sectionSize,
      routers: only === null && counts.routers > sectionSize,
      runs: only === null && counts.runs > sectionSize,
    },
    ...list,
    keys: list.keys.map((key) => ({
      ...key,
      note: noteOf(`k${key.id}`),
      isOpen: refused?.line === `k${key.id}`,
    })),
    subscriptions: list.subscriptions.map((row) => ({
      ...row,
      reason: row.reason.replaceAll('_', ' '),
      note: noteOf(`p${row.id}`),
      isOpen: refused?.line === `p${row.id}`,
      runHref: `${row.runKind === 'invoice' ? '/invoice-runs' : '/runs'}/${row.runId}`,
    })),
    jobs: list.jobs.map(({ job, trouble }) => ({ ...job, isLate: trouble === 'late' })),
    ledger:
      list.ledger === null
        ? null
        : {
            ...list.ledger,
            findings: list.ledger.findings
              .slice(0, 5)
              .map((one) => ({ ...one, rule: one.rule.replaceAll('_', ' ') })),
            findingCount: list.ledger.findings.length,
          },
    sourceAddress:
      page.app.config.radiusSourceAddress === '0.0.0.0'
        ? 'the address of this Sluice’s lane'
        : page.app.config.radiusSourceAddress,
  };
  if (refused === null) page.render('admin/attention/list', data);
  else page.render('admin/attention/list', { ...data, errors: refused.errors }, 400);
}

const titles: Record<AttentionKind, string> = {
  keys: 'Given up on after many attempts',
  subscriptions: 'Set aside by runs',
  faults: 'Routers that FreeRADIUS could not take',
};

/** Everything with the first of each kind, or one kind with its pages. */
async function listOf(
  page: Page,
  only: AttentionKind | null,
): Promise<{ list: AttentionList; next: readonly string[] | null }> {
  if (only === null) return { list: await attentionList(page.app, sectionSize), next: null };
  return attentionPage(page.app, only, listSize, keysetOf(page)?.values ?? null);
}

function idOf(page: Page): string {
  const id = String(page.req.params['id']);
  return /^[1-9]\d{0,18}$/.test(id) ? id : '0';
}

const gone = { kind: 'warning', text: 'That one is not on the list any more; nothing was changed.' } as const;

async function doRetryAll(page: Page): Promise<void> {
  const router = typed(page.req.body)['router'] ?? '';
  const count = await retryKeys(page.ctx, /^[1-9]\d{0,18}$/.test(router) ? router : null);
  page.redirect('/attention', {
    kind: count === 0 ? 'warning' : 'success',
    text: count === 0 ? 'Nothing was given up on, so nothing starts afresh.' : `${count} start afresh now.`,
  });
}

async function doRetry(page: Page): Promise<void> {
  const result = await retryKey(page.ctx, idOf(page));
  page.redirect(
    '/attention',
    result.ok
      ? { kind: 'success', text: 'It starts afresh now; if it fails again it comes back to this list.' }
      : gone,
  );
}

async function doGiveUp(page: Page): Promise<void> {
  await act(page, `k${idOf(page)}`, (note) => giveUpKey(page.ctx, idOf(page), note));
}

async function doSettle(page: Page): Promise<void> {
  await act(page, `p${idOf(page)}`, (note) => settleParkedSubscription(page.ctx, idOf(page), note));
}

async function act(
  page: Page,
  line: string,
  work: (note: string) => Promise<{ ok: boolean }>,
): Promise<void> {
  const note = typed(page.req.body)['note'] ?? '';
  const done = await tryForm(() => work(note));
  if (!done.ok) {
    // The command knows the note as the whole of what it was given.
    const text = Object.values(done.errors)[0] ?? 'is not right';
    await showList(page, { line, note, errors: { [`note-${line}`]: text } });
    return;
  }
  page.redirect(
    '/attention',
    done.value.ok ? { kind: 'success', text: 'It is off the list; your note is in the activity log.' } : gone,
  );
}
