export type ErrorKind = 'invalid' | 'not_found' | 'conflict' | 'forbidden' | 'unavailable';

/**
 * An error whose message may be shown to the person who asked: it never holds a secret or an SQL text.
 * `field` names the input at fault, `rule` says what it has to be.
 */
export class AppError extends Error {
  readonly kind: ErrorKind;
  readonly field: string | undefined;

  constructor(kind: ErrorKind, message: string, options: { field?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.kind = kind;
    this.field = options.field;
  }
}

/** `invalid('rate', 'must be like 10M/50M')`: the field, then the rule. */
export function invalid(field: string, rule: string): AppError {
  return new AppError('invalid', `${field}: ${rule}`, { field });
}

export function notFound(what: string): AppError {
  return new AppError('not_found', `${what} was not found`);
}

export function conflict(message: string): AppError {
  return new AppError('conflict', message);
}
