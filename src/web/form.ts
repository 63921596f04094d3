import { z } from 'zod';
import { AppError } from '../errors.ts';

/** What is wrong, by field; '' is the whole form. Shown beside the field and at the top. */
export type FieldErrors = Record<string, string>;

/** What was typed: text by field name, so that a form with an error keeps it. Files and lists are read elsewhere. */
export type Typed = Record<string, string>;

/** The body of a form as text fields. A repeated field keeps its last value; `listOf` reads all of them. */
export function typed(body: unknown): Typed {
  if (typeof body !== 'object' || body === null) return {};
  return Object.fromEntries(
    Object.entries(body as Record<string, unknown>).map(([name, value]) => [name, lastText(value)]),
  );
}

export function listOf(body: unknown, name: string): string[] {
  const value =
    typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined;
  const list = Array.isArray(value) ? value : [value];
  return list.filter((item) => typeof item === 'string');
}

function lastText(value: unknown): string {
  const last: unknown = Array.isArray(value) ? value.at(-1) : value;
  return typeof last === 'string' ? last : '';
}

/**
 * Runs a command that a form asked for. A refusal about the input comes back as errors by field; anything else is
 * thrown on to the error page.
 */
export async function tryForm<T>(
  work: () => Promise<T>,
): Promise<{ ok: true; value: T } | { ok: false; errors: FieldErrors }> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    const errors = errorsOf(error);
    if (errors === null) throw error;
    return { ok: false, errors };
  }
}

function errorsOf(error: unknown): FieldErrors | null {
  if (error instanceof z.ZodError) {
    return Object.fromEntries(error.issues.map((issue) => [issue.path.join('.'), issue.message]));
  }
  if (!(error instanceof AppError) || (error.kind !== 'invalid' && error.kind !== 'conflict')) return null;
  const lines = error.message.split('\n').map((line) => /^([A-Za-z][A-Za-z0-9.]*): (.+)$/.exec(line));
  // Several fields at fault: one line each, as parseInput writes them.
  if (lines.length > 1 && lines.every((line) => line !== null)) {
    return Object.fromEntries(lines.map((line) => [line[1] ?? '', line[2] ?? '']));
  }
  const field = error.field ?? '';
  // The field's name stands beside it already.
  const text =
    field !== '' && error.message.startsWith(`${field}: `)
      ? error.message.slice(field.length + 2)
      : error.message;
  return { [field]: text };
}
