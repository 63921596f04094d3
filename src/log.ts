import winston from 'winston';

export type Log = winston.Logger;

const secretKeys = /^(password|secret|secrets|pass|token|key|pin|sql|bindings|authorization|cookie)$/i;

/** JSON lines on stdout. Values under a secret's name are masked, and an Error keeps its cause but not its SQL. */
export function createLog(options: { level: string; role: string; silent?: boolean }): Log {
  return winston.createLogger({
    level: options.level,
    silent: options.silent ?? false,
    defaultMeta: { role: options.role, pid: process.pid },
    format: winston.format.combine(
      winston.format.timestamp(),
      winston.format((info) => {
        for (const [name, value] of Object.entries(info)) info[name] = safe(name, value, 0);
        return info;
      })(),
      winston.format.json(),
    ),
    transports: [new winston.transports.Console({ stderrLevels: [] })],
  });
}

function safe(name: string, value: unknown, depth: number): unknown {
  if (secretKeys.test(name)) return '[hidden]';
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return describeError(value);
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  // Nothing of ours is so deep, and further down nobody would have looked for a secret.
  if (depth > 4) return '[deep]';
  if (Array.isArray(value)) return value.map((item) => safe('', item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, safe(key, item, depth + 1)]));
}

/** A driver's error text holds the statement with its values, passwords too: only its code and kind are kept. */
export function describeError(error: unknown): {
  name: string;
  message: string;
  code?: string;
  cause?: unknown;
} {
  if (!(error instanceof Error)) return { name: 'unknown', message: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const fromDatabase = 'sqlMessage' in error || 'sql' in error || 'errno' in error;
  return {
    name: error.name,
    message: fromDatabase ? `database or system error ${code ?? ''}`.trim() : error.message,
    ...(code === undefined ? {} : { code }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
