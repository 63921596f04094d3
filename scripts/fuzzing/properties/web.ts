import type { Request } from 'express';
import fc from 'fast-check';
import { createLog, describeError } from '../../../src/log.ts';
import { listOf, typed } from '../../../src/web/form.ts';
import { keysetOf, textQuery, withQuery } from '../../../src/web/list.ts';
import { readCookie } from '../../../src/web/cookies.ts';
import type { Page } from '../../../src/web/page.ts';
import { captureLog } from '../log-capture.ts';
import { anyText, ensure, property, type Property } from './property.ts';

const canary = 'canary-of-the-log-7f3a';
const value: fc.Arbitrary<unknown> = fc.oneof(anyText, fc.array(anyText, { maxLength: 3 }), fc.jsonValue());
const query = fc.dictionary(fc.oneof(anyText, fc.constantFrom('after', 'before', 'q', '__proto__')), value, {
  noNullPrototype: true,
});
const pageOf = (given: Record<string, unknown>) =>
  ({ req: { query: given, path: '/subscribers' } }) as unknown as Page;

export const webProperties: readonly Property[] = [
  property('a form of any body is text by name', [fc.oneof(query, value)], (body) => {
    ensure(
      Object.values(typed(body)).every((text) => typeof text === 'string'),
      'a field is no text',
    );
    ensure(
      listOf(body, 'id').every((text) => typeof text === 'string'),
      'an item is no text',
    );
    ensure(Object.getPrototypeOf({}) === Object.prototype, 'the prototype is another one');
  }),
  property('any cursor is a place or the first page', [anyText, fc.jsonValue()], (text, json) => {
    for (const after of [text, Buffer.from(JSON.stringify(json)).toString('base64url')]) {
      const keyset = keysetOf(pageOf({ after }));
      ensure(keyset === null || keyset.values.every((one) => typeof one === 'string'), 'is no place');
    }
  }),
  property('a link of this page stays on this page', [query, anyText], (given, text) => {
    const href = withQuery(pageOf(given), { q: text });
    ensure(new URL(href, 'http://x').host === 'x' && href.startsWith('/subscribers'), 'leads elsewhere');
    ensure(textQuery(pageOf(given), 'q').length <= 190, 'is too long');
  }),
  property('any Cookie header is read', [anyText], (header) => {
    const request = { get: () => header } as unknown as Request;
    const read = readCookie(request, 'sluice_session');
    ensure(read === undefined || header.includes(read), 'is made up');
  }),
  property(
    'no log line holds what stands under the name of a secret',
    [
      fc.constantFrom('password', 'secret', 'token', 'Authorization', 'cookie', 'sql', 'bindings'),
      fc.array(fc.oneof(fc.constantFrom('a', '0', 'error', 'cause'), anyText), { maxLength: 8 }),
    ],
    (name, path) => {
      let meta: unknown = { [name]: canary, beside: 1 };
      for (const step of path) meta = step.length % 2 === 0 ? { [step]: meta } : [meta];
      ensure(!logged({ about: meta }).includes(canary), 'the secret is in the log');
    },
  ),
  property(
    "no log line holds a driver's statement",
    [fc.integer({ min: 0, max: 4 }), fc.constantFrom('sqlMessage', 'sql', 'errno')],
    (depth, mark) => {
      let error: Error = Object.assign(new Error(`insert into radcheck values ('${canary}')`), {
        [mark]: 'x',
      });
      for (let at = 0; at < depth; at++) error = new Error('wrapped', { cause: error });
      ensure(!JSON.stringify(describeError(error)).includes(canary), 'the statement is in the description');
      ensure(!logged({ error }).includes(canary), 'the statement is in the log');
    },
  ),
];

const log = createLog({ level: 'debug', role: 'fuzz', silent: false });
let written = '';
captureLog(log, (line) => {
  written += line;
});

function logged(meta: Record<string, unknown>): string {
  written = '';
  log.info('a line', meta);
  return written;
}
