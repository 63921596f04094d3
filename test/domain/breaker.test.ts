import { expect } from 'chai';
import {
  afterAnswer,
  afterTimeout,
  type Breaker,
  closedBreaker,
  failuresToOpen,
} from '../../src/domain/breaker.ts';
import { available, burstOf, fullBucket, refill, take, waitMsFor } from '../../src/domain/pace.ts';

function afterTimeouts(count: number): Breaker {
  let breaker = closedBreaker;
  for (let i = 0; i < count; i++) breaker = afterTimeout(breaker, 0.5).breaker;
  return breaker;
}

describe('breaker', () => {
  it('when packets in a row get no answer, opens with the fifth and says when to probe', () => {
    expect(afterTimeouts(failuresToOpen - 1)).to.deep.equal({ isOpen: false, failures: 4 });
    expect(afterTimeout(afterTimeouts(4), 0.5)).to.deep.equal({
      breaker: { isOpen: true, failures: 5 },
      event: 'opened',
      probeInMs: 5000,
    });
  });

  it('when an answer comes between, counts from the start', () => {
    expect(afterAnswer(afterTimeouts(4))).to.deep.equal({ breaker: closedBreaker, event: 'none' });
  });

  it('when probes fail, waits longer each time, to a minute, spread by a quarter', () => {
    const waits = [5, 6, 7, 8, 9, 10, 30].map((failures) => {
      const change = afterTimeout({ isOpen: true, failures }, 0.5);
      return change.event === 'still_open' ? change.probeInMs : -1;
    });
    expect(waits).to.deep.equal([10_000, 20_000, 40_000, 60_000, 60_000, 60_000, 60_000]);
    expect(afterTimeout(afterTimeouts(4), 0)).to.include({ probeInMs: 3750 });
    expect(afterTimeout(afterTimeouts(4), 0.999))
      .to.have.property('probeInMs')
      .that.is.below(6251);
  });

  it('when an open one hears any answer, closes', () => {
    expect(afterAnswer(afterTimeouts(9))).to.deep.equal({ breaker: closedBreaker, event: 'closed' });
  });
});

describe('pace', () => {
  it('when full, lets a fifth of a second through at once, and then the pace', () => {
    let bucket = fullBucket(50, 0);
    let sent = 0;
    for (let ms = 0; ms <= 10_000; ms += 7) {
      bucket = refill(bucket, ms);
      const packets = available(bucket);
      sent += packets;
      bucket = take(bucket, packets);
    }
    expect(burstOf(50)).to.equal(10);
    expect(sent).to.be.within(505, 510);
  });

  it('when idle for long, saves no more than a burst; when slow, lets one packet through', () => {
    expect(available(refill(take(fullBucket(50, 0), 10), 60_000))).to.equal(10);
    expect(available(fullBucket(1, 0))).to.equal(1);
    expect(waitMsFor(take(fullBucket(1, 0), 1))).to.equal(1000);
    expect(waitMsFor(take(fullBucket(50, 0), 10))).to.equal(100);
  });
});
