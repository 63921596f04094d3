import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Express, Request, RequestHandler } from 'express';
import type { App } from '../app.ts';
import { pendingMigrations } from '../db/migrate.ts';
import { describeError } from '../log.ts';
import { createMetrics } from './metrics.ts';

/** For machines: this host may always ask, others with the token. They have no session, and leave no cookie. */
export function mountHealth(web: Express, app: App, root: string): void {
  const guard = guardOf(app.config.web.metricsToken);
  const metrics = createMetrics(app, versionOf(root));
  web.get('/healthz', guard, (_req, res) => {
    res.json({ ok: true });
  });
  web.get('/readyz', guard, async (_req, res) => {
    const reason = await whyNotReady(app, join(root, 'sql'));
    res.status(reason === null ? 200 : 503).json(reason === null ? { ok: true } : { ok: false, reason });
  });
  web.get('/metrics', guard, async (_req, res) => {
    try {
      res.type(metrics.contentType).send(await metrics.text());
    } catch (error) {
      app.log.warn('no metrics', { error: describeError(error) });
      res.status(503).type('text').send('The database does not answer.\n');
    }
  });
}

function guardOf(token: string | undefined): RequestHandler {
  return (req, res, next) => {
    res.set('Cache-Control', 'no-store');
    if (isFromHere(req) || carriesToken(req, token)) next();
    else
      res
        .status(403)
        .set('WWW-Authenticate', 'Bearer')
        .type('text')
        .send('This host only, or with the bearer token.\n');
  };
}

/** The packet's own source: a proxy on this host speaks for somebody else, and says so, whether we trust it or not. */
function isFromHere(req: Request): boolean {
  const address = req.socket.remoteAddress ?? '';
  const isLoopback = address === '::1' || /^(::ffff:)?127\./.test(address);
  return isLoopback && req.get('x-forwarded-for') === undefined && req.get('forwarded') === undefined;
}

/** Compared by digests, which are of one length: the time it takes tells nothing about the token. */
function carriesToken(req: Request, token: string | undefined): boolean {
  const sent = /^Bearer (\S+)$/.exec(req.get('authorization') ?? '')?.[1];
  if (token === undefined || sent === undefined) return false;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(sent), digest(token));
}

/** `database` does not answer, or its `schema` is older than this build; null when both are right. */
async function whyNotReady(app: App, sqlDirectory: string): Promise<'database' | 'schema' | null> {
  try {
    return (await pendingMigrations(app.db, sqlDirectory)).length === 0 ? null : 'schema';
  } catch (error) {
    app.log.warn('not ready', { error: describeError(error) });
    return 'database';
  }
}

function versionOf(root: string): string {
  const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return about.version;
}
