import { Writable } from 'node:stream';
import winston from 'winston';
import type { Log } from '../../src/log.ts';

/** Sends what a log writes to `take` instead of standard output: masked and formatted as always. */
export function captureLog(log: Log, take: (line: string) => void): void {
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      take(chunk.toString());
      done();
    },
  });
  log.clear().add(new winston.transports.Stream({ stream }));
}
