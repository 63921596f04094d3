import { randomUUID } from 'node:crypto';
import { type Server } from 'node:http';
import { join } from 'node:path';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { rateLimit } from 'express-rate-limit';
import helmet from 'helmet';
import type { App } from '../app.ts';
import { readSettings } from '../db/settings.ts';
import { findStaffSession, type StaffSession, touchStaffSession } from '../db/staff-sessions.ts';
import { may } from '../domain/permissions.ts';
import { sessionEnd } from '../domain/sign-in.ts';
import { hashOf } from '../staff/sign-in.ts';
import { loadAssets } from './assets.ts';
import { readCookie } from './cookies.ts';
import { carriesToken, csrfToken } from './csrf.ts';
import { answerError } from './error-page.ts';
import { mountHealth } from './health.ts';
import { createPage, type Page } from './page.ts';
import type { Route } from './route.ts';
import { sessionCookie } from './session-cookie.ts';
import { readUpload } from './upload.ts';
import { loadViews, type Views } from './view.ts';

const touchEveryMs = 60_000;

/** The pages. In this order: headers, files, body, session, permission, CSRF, handler, one error handler. */
export function createWeb(app: App, root: string, routes: readonly Route[]): Express {
  const web = express();
  web.disable('x-powered-by');
  if (app.config.web.isBehindProxy) web.set('trust proxy', 1);
  const assets = loadAssets(root);
  const views = loadViews(join(root, 'templates'), assets);
  web.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'self'"],
          imgSrc: ["'self'", 'data:'],
          frameAncestors: ["'none'"],
          formAction: ["'self'"],
          baseUri: ["'none'"],
          objectSrc: ["'none'"],
        },
      },
      strictTransportSecurity: app.config.web.isHttps,
    }),
  );
  assets.mount(web);
  mountHealth(web, app, root);
  web.use(logRequests(app));
  web.use(
    '/sign-in',
    rateLimit({ windowMs: 60_000, limit: 60, legacyHeaders: false, skip: (req) => req.method !== 'POST' }),
  );
  for (const route of routes) {
    const body =
      route.body === 'raw'
        ? []
        : [express.urlencoded({ extended: false, limit: '1mb', parameterLimit: 5000 })];
    web[route.method](route.path, ...body, handlerOf(app, views, route));
  }
  web.use((req, res) => answerError(app, views, req, res, { status: 404, text: 'There is no such page.' }));
  web.use((error: unknown, req: Request, res: Response, _next: NextFunction) => {
    answerError(app, views, req, res, error);
  });
  return web;
}

/** Listens; rejects with a plain sentence when the port is taken. */
export function listen(web: Express, address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = web.listen(port, address);
    server.once('listening', () => resolve(server));
    server.once('error', (error) =>
      reject(new Error(`cannot listen on ${address}:${port}`, { cause: error })),
    );
  });
}

function handlerOf(app: App, views: Views, route: Route) {
  return async (req: Request, res: Response): Promise<void> => {
    const now = app.clock.now();
    const sessionId = readCookie(req, sessionCookie);
    const staff = await staffOf(app, sessionId, now);
    const isSecure = app.config.web.isHttps;
    const csrf = csrfToken(app.vault, req, res, {
      sessionId: staff === null ? undefined : sessionId,
      isSecure,
    });
    const page = createPage(
      {
        app,
        ctx: app.context(staff?.username ?? 'web', res.locals['requestId'] as string),
        views,
        staff,
        settings: await readSettings(app.db),
        now,
        csrf,
      },
      req,
      res,
    );
    // Pages hold personal data: no cache on the way keeps them.
    res.set('Cache-Control', 'no-store');
    if (!isAllowed(page, route)) return;
    if (route.body === 'file') await readUpload(req);
    if (route.method === 'post' && !carriesToken(req, csrf)) {
      answerError(app, views, req, res, {
        status: 403,
        text: 'This form is too old, or came from elsewhere. Go back, load the page again, and send it once more.',
      });
      return;
    }
    await route.handle(page);
  };
}

/** Answers with the sign-in page or a refusal where the person may not; says whether the handler may go on. */
function isAllowed(page: Page, route: Route): boolean {
  if (route.access === 'public') return true;
  if (page.staff === null) {
    if (page.wantsPart) page.res.set('HX-Redirect', '/sign-in').status(401).end();
    else if (route.method === 'get')
      page.redirect(`/sign-in?next=${encodeURIComponent(page.req.originalUrl)}`);
    else page.render('auth/refused', { title: 'Signed out', text: 'You are not signed in any more.' }, 401);
    return false;
  }
  if (route.access === 'signed_in' || may(page.staff.role, route.access)) return true;
  page.render(
    'auth/refused',
    { title: 'Not allowed', text: `This needs the permission ${route.access}.` },
    403,
  );
  return false;
}

async function staffOf(app: App, sessionId: string | undefined, now: Date): Promise<StaffSession | null> {
  if (sessionId === undefined || sessionId === '') return null;
  const session = await findStaffSession(app.db, hashOf(sessionId), now);
  if (session === undefined) return null;
  // Not at each request: a page that polls would write all day.
  if (now.getTime() - session.seenAt.getTime() > touchEveryMs) {
    await touchStaffSession(app.db, session.idHash, now, sessionEnd(session.createdAt, now));
  }
  return session;
}

function logRequests(app: App) {
  return (req: Request, res: Response, next: NextFunction): void => {
    const startedAt = performance.now();
    res.locals['requestId'] = randomUUID();
    res.set('X-Request-Id', res.locals['requestId'] as string);
    res.once('finish', () => {
      // The path only: a query may hold a name or a phone number.
      app.log.debug('request', {
        requestId: res.locals['requestId'] as string,
        method: req.method,
        path: req.path,
        status: res.statusCode,
        ms: Math.round(performance.now() - startedAt),
      });
    });
    next();
  };
}
