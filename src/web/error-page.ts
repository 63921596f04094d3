import type { Request, Response } from 'express';
import { z } from 'zod';
import type { App } from '../app.ts';
import { defaultSettings } from '../db/settings.ts';
import { AppError, type ErrorKind } from '../errors.ts';
import { isPassing } from '../db/knex.ts';
import { describeError } from '../log.ts';
import type { Views } from './view.ts';

const statusOf: Record<ErrorKind, number> = {
  invalid: 400,
  not_found: 404,
  conflict: 409,
  forbidden: 403,
  unavailable: 503,
};

const titles: Record<number, string> = {
  400: 'Not understood',
  403: 'Not allowed',
  404: 'Not found',
  409: 'Somebody was first',
  503: 'Not now',
};

/** One page for whatever went wrong: what happened, what to do next, and a number that finds it in the log. */
export function answerError(app: App, views: Views, req: Request, res: Response, error: unknown): void {
  const { status, text } = explain(error);
  if (status >= 500) {
    app.log.error('request failed', {
      requestId: res.locals['requestId'] as string | undefined,
      method: req.method,
      path: req.path,
      error: describeError(error),
    });
  }
  if (res.headersSent) {
    res.end();
    return;
  }
  const formats = { ...defaultSettings, now: app.clock.now() };
  const data = {
    title: titles[status] ?? 'Something went wrong',
    status,
    text,
    // Only a fault of ours is in the log.
    requestId: status < 500 ? '' : ((res.locals['requestId'] as string | undefined) ?? ''),
  };
  const page = { ...data, csrf: '', staff: null, crumbs: [], flash: null, errors: null, path: '/' };
  res
    .status(status)
    .type('html')
    .send(views.render('auth/error', page, { layout: 'bare', formats }));
}

function explain(error: unknown): { status: number; text: string } {
  if (isPlain(error)) return error;
  if (error instanceof AppError) return { status: statusOf[error.kind], text: error.message };
  if (error instanceof z.ZodError) {
    return {
      status: 400,
      text: error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
    };
  }
  const status = error instanceof Error ? (error as { status?: unknown }).status : undefined;
  // What express and its parsers throw for a bad request.
  if (typeof status === 'number' && status >= 400 && status < 500)
    return { status, text: 'The request was not understood.' };
  if (isPassing(error)) return { status: 503, text: 'The database is not answering. Try again in a moment.' };
  return { status: 500, text: 'This is a fault of Sluice. Nothing that you typed was half saved.' };
}

function isPlain(error: unknown): error is { status: number; text: string } {
  return (
    typeof error === 'object' &&
    error !== null &&
    !(error instanceof Error) &&
    'status' in error &&
    'text' in error
  );
}
