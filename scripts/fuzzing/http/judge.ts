import { secretsIn, type Secrets } from '../canaries.ts';
import { rawMarkup, rawQuote } from '../texts.ts';
import type { Answer } from './wire.ts';

/** Answers that a bad request may get. 503 is for /readyz and /metrics; 500 never is one. */
const expected = new Set([
  200, 204, 206, 303, 304, 400, 401, 403, 404, 405, 409, 411, 413, 414, 415, 416, 417, 422, 429, 431,
]);

const stackTrace = /\n\s+at .+:\d+:\d+|node_modules\/|file:\/\/\/.+\.(ts|js)|\/src\/(web|db|domain)\//;
/** As knex and MariaDB write them; what is typed never has these. */
const statement =
  /(select|insert into|update|delete from) `|You have an error in your SQL|ER_[A-Z]{3}|SQLSTATE|knex/;

/** What is wrong with an answer, by rule. */
export function faultsOf(
  answer: Answer,
  asked: { path: string; mayShowSecret: boolean },
  secrets: Secrets,
): string[] {
  const type = answer.headers.get('content-type') ?? '';
  const faults: string[] = [];
  if (!expected.has(answer.status)) faults.push(`status ${answer.status}`);
  const leaked = secretsIn(answer.body, secrets).filter(
    (name) => !(asked.mayShowSecret && name === 'a typed secret'),
  );
  const inHead = secretsIn([...answer.headers.values()].join('\n'), secrets);
  for (const name of new Set([...leaked, ...inHead])) faults.push(`the answer holds ${name}`);
  if (stackTrace.test(answer.body)) faults.push('the answer holds a stack trace or a path of the program');
  if (statement.test(answer.body)) faults.push('the answer holds SQL');
  if (type.startsWith('text/html')) faults.push(...faultsOfPage(answer));
  if (type.startsWith('text/csv')) faults.push(...faultsOfCsv(answer.body));
  faults.push(...faultsOfHead(answer));
  return faults;
}

function faultsOfPage({ body, headers, status }: Answer): string[] {
  const faults: string[] = [];
  if (body.includes(rawMarkup)) faults.push('markup that was typed is in the page as it stands');
  if (body.includes(rawQuote)) faults.push('a quotation mark that was typed is in the page as it stands');
  const policy = headers.get('content-security-policy') ?? '';
  if (!policy.includes("default-src 'self'") || policy.includes('unsafe'))
    faults.push('no content security policy');
  if (status === 200 && /Invalid Date|NaN [A-Za-z]/.test(body)) faults.push('a value that is none is shown');
  return faults;
}

/** No cell begins as a formula: csv-stringify puts an apostrophe before it. */
function faultsOfCsv(body: string): string[] {
  return /(^|[\n,])"?[=@\t]/.test(
    body.replace(/^\ufeff/, '').replaceAll(/"(?:[^"]|"")*"/g, (cell) => cell.slice(0, 2)),
  )
    ? ['a cell of the file would run as a formula']
    : [];
}

function faultsOfHead({ headers, status }: Answer): string[] {
  const faults: string[] = [];
  const location = headers.get('location') ?? headers.get('hx-redirect');
  if (location !== undefined && (!/^\/(?![/\\])/.test(location) || /[^\x21-\x7e]/.test(location)))
    faults.push('it leads to another host');
  if (status === 303 && location === undefined) faults.push('it leads nowhere');
  if (headers.has('x-powered-by')) faults.push('it names the program');
  const cookies = (headers.get('set-cookie') ?? '').split('\n').filter((cookie) => cookie !== '');
  if (cookies.some((cookie) => !/expires=Thu, 01 Jan 1970/i.test(cookie) && !/; HttpOnly/i.test(cookie)))
    faults.push('a cookie that scripts can read');
  return faults;
}
