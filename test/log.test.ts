import { expect } from 'chai';
import { captureLog } from '../scripts/fuzzing/log-capture.ts';
import { createLog } from '../src/log.ts';

describe('createLog', () => {
  it('masks what stands under the name of a secret, however deep', () => {
    const log = createLog({ level: 'info', role: 'test' });
    const lines: string[] = [];
    captureLog(log, (line) => lines.push(line));
    let about: Record<string, unknown> = { password: 'hunter2' };
    for (let depth = 0; depth < 8; depth++) {
      log.info('a line', { about });
      about = { [`level${depth}`]: depth % 2 === 0 ? [about] : about };
    }
    expect(lines).to.have.lengthOf(8);
    expect(lines.join('')).not.to.include('hunter2');
    expect(lines[0]).to.include('[hidden]');
  });
});
