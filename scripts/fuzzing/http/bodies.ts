import type { Dice } from '../../seed/random.ts';
import { randomBytes, randomText, rubbish } from '../texts.ts';
import type { Form } from './discover.ts';

/** Bytes that are hardly HTTP. */
export function hardlyHttp(dice: Dice, path: string): Buffer {
  return dice.pick<() => Buffer>([
    () => randomBytes(dice, dice.between(0, 300)),
    () => Buffer.from(`GET ${path} HTTP/1.1\r\n${randomText(dice, 40)}\r\n\r\n`),
    () => Buffer.from(`GET ${path} HTTP/${dice.pick(['0.9', '2.0', '1.1.1', 'x', ''])}\r\nHost: x\r\n\r\n`),
    () => Buffer.from(`GET  ${path}\r\n\r\n`),
    () =>
      Buffer.from(
        `POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: ${dice.pick(['-1', '1e3', '99999999999999999999', 'x', '5'])}\r\n\r\nab`,
      ),
    () =>
      Buffer.from(
        'POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ),
    () =>
      Buffer.from(
        `POST /sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${dice.pick(['zz\r\n', 'ffffffffffffffff\r\nx', '5\r\nab', '-1\r\n\r\n'])}`,
      ),
    () =>
      Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(dice.between(90, 3000))}\r\n`),
    () => Buffer.from(`GET /${'a'.repeat(dice.between(4000, 40_000))} HTTP/1.1\r\nHost: x\r\n\r\n`),
    () =>
      Buffer.from(
        `GET ${path} HTTP/1.1\r\nHost: x\r\nCookie: sluice_session=${'a'.repeat(dice.between(0, 17_000))}\r\n\r\n`,
      ),
    () => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\nX : y\r\n\r\n`),
    () => Buffer.from(`GET ${path} HTTP/1.1\nHost: x\n\n`),
    () => Buffer.from(`GET ${path}\0 HTTP/1.1\r\nHost: x\0\r\n\r\n`),
    () => Buffer.from(`GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n`),
    () => Buffer.from(`CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n`),
    () =>
      Buffer.from(`GET /sign-in HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`),
    () => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x`),
    () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    () => Buffer.from('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'latin1'),
  ])();
}

/** A body that is no form, or one that no browser sends. */
export function oddBody(dice: Dice, form: Form, csrf: string): Buffer {
  const names = form.fields.map(({ name }) => name);
  const name = names.length === 0 ? 'name' : dice.pick(names);
  return dice.pick<() => Buffer>([
    () => randomBytes(dice, dice.between(0, 300)),
    () => Buffer.from(JSON.stringify({ [name]: rubbish(dice), _csrf: csrf })),
    () => Buffer.from(`{"__proto__":{"isOwner":true},"${name}":[[[[]]]]}`),
    () => Buffer.from('['.repeat(dice.between(1, 20_000))),
    () => Buffer.from(`__proto__=x&constructor=y&${name}[]=1&${name}[a][b]=2&_csrf=${csrf}`),
    () => Buffer.from(`${name}=1&`.repeat(dice.between(1, 6000))),
    () => Buffer.from(`_csrf=${csrf}&_csrf=${csrf}&${name}=a&${name}=b`),
    () => Buffer.from(`_csrf=${csrf}&${name}=%ff%fe%00&${name}2=%E0%A4%A`),
    () => Buffer.from(`_csrf=${csrf}&${name}=${'a'.repeat(dice.pick([100_000, 1_048_570, 1_100_000]))}`),
    () => Buffer.from('&&==&=&&'),
    () =>
      Buffer.from(
        `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${rubbish(dice)}\r\n--x--\r\n`,
      ),
    () =>
      Buffer.from('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
  ])();
}
