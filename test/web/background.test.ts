import { expect } from 'chai';
import type { App } from '../../src/app.ts';
import { createLog } from '../../src/log.ts';
import { backgroundEnds, isInBackground, runInBackground, stopBackground } from '../../src/web/background.ts';

describe('work in the background of a web process', () => {
  const anApp = () => ({ log: createLog({ level: 'error', role: 'test', silent: true }) }) as unknown as App;

  it('runInBackground, of a name that is under way, does not begin it twice', async () => {
    const app = anApp();
    let begun = 0;
    let finish = () => {};
    const work = () => {
      begun++;
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    };
    expect(runInBackground(app, 'run:1', work)).to.equal(true);
    expect(runInBackground(app, 'run:1', work)).to.equal(false);
    expect(runInBackground(app, 'run:2', () => Promise.resolve())).to.equal(true);
    expect(begun, 'nothing before the answer went out').to.equal(0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(begun).to.equal(1);
    expect(isInBackground(app, 'run:1')).to.equal(true);
    expect(isInBackground(app, 'run:2')).to.equal(false);
    finish();
    await backgroundEnds(app);
    expect(
      runInBackground(app, 'run:1', () => Promise.resolve()),
      'over, so again',
    ).to.equal(true);
    await backgroundEnds(app);
  });

  it('runInBackground, of work that throws, ends without taking the process with it', async () => {
    const app = anApp();
    const written: unknown[] = [];
    app.log.error = ((_text: string, details: unknown) => written.push(details)) as never;
    runInBackground(app, 'bad', () => Promise.reject(new Error('no')));
    await backgroundEnds(app);
    expect(isInBackground(app, 'bad')).to.equal(false);
    expect(written).to.have.length(1);
    expect(written[0]).to.deep.include({ work: 'bad' });
  });

  it('stopBackground, asks the work to end after its batch, waits for that, and begins nothing more', async () => {
    const app = anApp();
    let batches = 0;
    runInBackground(app, 'batches', async (signal) => {
      for (;;) {
        batches++;
        await new Promise((resolve) => setTimeout(resolve, 10));
        signal.throwIfAborted();
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 35));
    await stopBackground(app, 5000);
    const after = batches;
    expect(after).to.be.greaterThan(0);
    expect(isInBackground(app, 'batches')).to.equal(false);
    expect(runInBackground(app, 'late', () => Promise.resolve())).to.equal(false);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(batches).to.equal(after);
  });

  it('stopBackground, of work that does not listen, waits no longer than it is told', async () => {
    const app = anApp();
    let finish = () => {};
    runInBackground(app, 'deaf', () => new Promise<void>((resolve) => (finish = resolve)));
    const began = performance.now();
    await stopBackground(app, 100);
    expect(performance.now() - began).to.be.lessThan(5000);
    expect(isInBackground(app, 'deaf')).to.equal(true);
    finish();
    await backgroundEnds(app);
  });
});
