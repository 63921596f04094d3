import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect } from 'chai';
import { createWakeSender, encodeWake, isWake, listenForWake } from '../../src/adapters/wake.ts';

const key = Buffer.alloc(32, 7);
const now = new Date('2026-05-01T10:00:00Z');

describe('wake', () => {
  it('isWake, for a datagram of ours, holds for a minute around it', () => {
    const datagram = encodeWake(key, now);
    expect(isWake(key, datagram, new Date(now.getTime() + 59_000))).to.equal(true);
    expect(isWake(key, datagram, new Date(now.getTime() - 59_000))).to.equal(true);
    expect(isWake(key, datagram, new Date(now.getTime() + 61_000))).to.equal(false);
  });

  it('isWake, with any bit flipped or another key, refuses', () => {
    const datagram = encodeWake(key, now);
    for (let bit = 0; bit < datagram.length * 8; bit++) {
      const bent = Buffer.from(datagram);
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(isWake(key, bent, now), `bit ${bit}`).to.equal(false);
    }
    expect(isWake(Buffer.alloc(32, 8), datagram, now)).to.equal(false);
    expect(isWake(key, Buffer.alloc(0), now)).to.equal(false);
  });

  it('listenForWake, after noise on its port, still wakes', async () => {
    const listener = await listenForWake({ address: '127.0.0.1', port: 0, key, now: () => now });
    let woken = 0;
    const first = new Promise<void>((resolve) =>
      listener.onWake(() => {
        woken++;
        resolve();
      }),
    );
    const noise = createSocket('udp4');
    noise.send(Buffer.from('hello'), listener.port, '127.0.0.1');
    const sender = createWakeSender(key);
    sender.send([{ address: '127.0.0.1', port: listener.port }], now);
    await first;
    expect(woken).to.equal(1);
    sender.close();
    noise.close();
    await once(noise, 'close');
    await listener.close();
  });
});
