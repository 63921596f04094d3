import fc from 'fast-check';
import { formatRateLimit, parseRateLimit, slowerOf, isWithin } from '../../../src/domain/rate-limit.ts';
import { rejectWords, terminateWords, errorCauseWords } from '../../../src/domain/reject-words.ts';
import { foldedWords, searchTerms, subscriberTerms } from '../../../src/domain/search-terms.ts';
import { parseSessionClass } from '../../../src/domain/session-class.ts';
import { matchingStep, toBase32 } from '../../../src/domain/totp.ts';
import { instantsOf } from '../../../src/domain/who-had.ts';
import { printable } from '../../../src/cli/output.ts';
import { nearest } from '../../../src/cli/nearest.ts';
import { anyText, ensure, near, orRefused, property, type Property } from './property.ts';

const rateLike = near(
  /^\d{1,5}[kMG]?(\/\d{1,5}[kMG]?)?( \d{1,5}[kM]?(\/\d{1,5}[kM]?)?){0,2}( \d{1,3}(\/\d{1,3})?)?( [0-9])?( \d{1,4}k?)?$/,
);
const classLike = near(/^S1\.[1-9]\d{0,5}\.[0-9a-f]{10}\.[0-9a-f]{10}\.[0-9a-zA-Z]{0,8}$/);
const key = Buffer.alloc(20, 3);

export const textProperties: readonly Property[] = [
  property('a rate limit is read as it is written', [rateLike], (text) => {
    const rate = orRefused(() => parseRateLimit(text));
    if (rate === undefined) return;
    ensure(rate.uploadBps >= 1 && rate.downloadBps >= 1, 'a rate of nothing is no limit to RouterOS');
    const written = formatRateLimit(rate);
    ensure(Buffer.byteLength(written) <= 120, 'is too long');
    ensure(/^[0-9kM/ ]+$/.test(written), 'has a sign that RouterOS does not know');
    ensure(formatRateLimit(parseRateLimit(written)) === written, 'is not canonical');
  }),
  property('the slower of two limits is within both', [rateLike, rateLike], (a, b) => {
    const [one, other] = [orRefused(() => parseRateLimit(a)), orRefused(() => parseRateLimit(b))];
    if (one === undefined || other === undefined) return;
    const slower = slowerOf(one, other);
    ensure(isWithin(slower, one) && isWithin(slower, other), 'is faster than one of them');
  }),
  property('parseSessionClass takes our Class only', [classLike], (text) => {
    const parsed = parseSessionClass(text);
    if (parsed === undefined) return;
    const { loginId, accessFingerprint, redialFingerprint, nonce } = parsed;
    ensure(`S1.${loginId}.${accessFingerprint}.${redialFingerprint}.${nonce}` === text, 'is another Class');
  }),
  property('searchTerms reads anything', [anyText], (text) => {
    const terms = searchTerms(text);
    ensure(terms.text.length <= 190, 'is too long');
    ensure(terms.username === null || /^[\x21-\x7e]{1,64}$/.test(terms.username), 'is no username');
    ensure(terms.prefixes.length <= 6, 'asks for too much');
    ensure(
      terms.prefixes.flat().every((prefix) => prefix !== '' && [...prefix].length <= 190),
      'asks for nothing',
    );
  }),
  property(
    'a subscriber is found under short words',
    [anyText, fc.option(anyText), fc.array(anyText, { maxLength: 3 })],
    (name, phone, usernames) => {
      const terms = subscriberTerms({ name, phone, usernames });
      ensure(new Set(terms).size === terms.length, 'a term is there twice');
      ensure(
        foldedWords(name).every((word) => word !== '' && [...word].length <= 64),
        'a word is too long',
      );
    },
  ),
  property('words for codes that nobody knows', [anyText, fc.integer()], (text, number) => {
    ensure(rejectWords(text).why.length > 0 && typeof terminateWords(text) === 'string', 'has no words');
    ensure(errorCauseWords(number) !== '', 'has no words');
  }),
  property('a one-time code is six digits that fit', [near(/^\d{6}$/), fc.nat()], (code, seconds) => {
    const step = matchingStep(key, code, new Date((60 + seconds) * 1000));
    ensure(step === null || /^\d{6}$/.test(code), 'something else was taken for a code');
  }),
  property('base 32 says every bit', [fc.uint8Array({ maxLength: 40 })], (bytes) => {
    const text = toBase32(Buffer.from(bytes));
    ensure(text.length === Math.ceil((bytes.length * 8) / 5) && /^[A-Z2-7]*$/.test(text), 'is not base 32');
  }),
  property(
    'a local time is one, two or no instants',
    [
      near(/^20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d(:[0-5]\d)?$/),
      fc.constantFrom('UTC', 'Asia/Dhaka', 'Europe/Berlin', 'America/New_York'),
    ],
    (text, zone) => {
      const instants = orRefused(() => instantsOf(text, zone));
      ensure(instants === undefined || instants.length <= 2, 'is too many instants');
      ensure(instants === undefined || instants.every((at) => !Number.isNaN(at.getTime())), 'is no instant');
    },
  ),
  property('nothing printed moves the cursor', [anyText], (text) => {
    ensure(!/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(printable(text)), 'a control character is left');
  }),
  property('a near word is one of the words', [anyText], (text) => {
    const words = ['subscriber add', 'pay', 'reconcile'];
    const word = nearest(text, words);
    ensure(word === undefined || words.includes(word), 'is another word');
  }),
];
