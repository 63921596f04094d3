import fc from 'fast-check';
import {
  cellFault,
  delimiterOf,
  headerFaults,
  importColumns,
  readCell,
} from '../../../src/domain/import-file.ts';
import {
  clientHash,
  parseClientFile,
  type RadiusClient,
  renderClientFile,
  secretProblem,
} from '../../../src/domain/radius-client-file.ts';
import { parseRouterAddress } from '../../../src/domain/router-address.ts';
import { anyText, ensure, near, orRefused, property, type Property } from './property.ts';

const secrets = fc.oneof(near(/^[ -~]{6,60}$/), fc.stringMatching(/^[a'"\\${}#%;= ]{6,20}$/));
const address = fc
  .oneof(fc.ipV4(), fc.ipV6())
  .map((text) => orRefused(() => parseRouterAddress(text).text) ?? '10.0.0.1');

export const fileProperties: readonly Property[] = [
  property(
    'a client file is read as it was written',
    [secrets, address, fc.boolean()],
    (secret, at, requireMessageAuthenticator) => {
      const client: RadiusClient = { address: at, secret, shortname: 'r7', requireMessageAuthenticator };
      const text = orRefused(() => renderClientFile(client));
      ensure(
        (text === undefined) === (secretProblem(secret) !== undefined),
        'is written though it may not be',
      );
      if (text === undefined) return;
      const read = parseClientFile(at, text);
      ensure(read.ok && clientHash(read.client) === clientHash(client), 'another client is read');
    },
  ),
  property('a bad secret is not repeated', [secrets], (secret) => {
    const problem = secretProblem(secret);
    ensure(problem === undefined || secret.length < 6 || !problem.includes(secret), 'the rule repeats it');
  }),
  property(
    'any client file is read or refused without its secret',
    [fc.array(fc.oneof(anyText, near(/^\t(secret|ipaddr|shortname) = '[ -~]{0,20}'$/)), { maxLength: 6 })],
    (lines) => {
      const text = ['client r1 {', ...lines, "\tsecret = 'canary of files'", '}'].join('\n');
      const read = parseClientFile('10.0.0.1', text);
      ensure(read.ok || !read.problem.includes('canary'), 'the problem repeats the secret');
      ensure(!read.ok || read.client.address === '10.0.0.1', 'another address was taken');
    },
  ),
  property(
    'any first line of a file is known or named',
    [
      fc.array(fc.oneof(anyText, fc.constantFrom(...importColumns.map((one) => one.column))), {
        maxLength: 30,
      }),
    ],
    (header) => {
      const faults = headerFaults(header);
      ensure(
        faults.every((fault) => fault.endsWith('.') && fault.length < 120),
        'the fault is no sentence',
      );
      const required = importColumns.filter((one) => one.isRequired).length;
      ensure(faults.length > 0 || header.length >= required, 'a column is missing and nobody says so');
      ensure([',', ';', '\t'].includes(delimiterOf(header.join(','))), 'is no sign');
    },
  ),
  property(
    'a cell that would run as a formula is refused',
    [fc.constantFrom('name', 'street', 'email', 'package'), anyText],
    (field, text) => {
      const cell = readCell(field, text);
      const isArmed = /^[=+\-@]/.test(cell);
      ensure(!isArmed || cellFault(field, cell) !== null, 'would run');
    },
  ),
];
