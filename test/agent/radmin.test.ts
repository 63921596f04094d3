import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  askClientCounters,
  askLoadedClient,
  createRadmin,
  parseClientConfig,
} from '../../src/adapters/freeradius/radmin.ts';

/** The far side of the control socket; what the real one says is tested in radius-agent.test.ts. */
describe('radmin', () => {
  let home: string;
  let path: string;
  let server: Server;
  let answer: (socket: Socket, command: string) => void;
  const sockets = new Set<Socket>();

  const frame = (channel: number, body: Buffer | string) => {
    const bytes = Buffer.from(body);
    const header = Buffer.alloc(8);
    header.writeUInt32BE(channel, 0);
    header.writeUInt32BE(bytes.length, 4);
    return Buffer.concat([header, bytes]);
  };
  const succeeded = frame(3, Buffer.from([1, 0, 0, 0]));

  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'radmin-'));
    path = join(home, 'control.sock');
    server = createServer((socket) => {
      sockets.add(socket);
      let buffer = Buffer.alloc(0);
      socket.on('data', (bytes) => {
        buffer = Buffer.concat([buffer, bytes]);
        while (buffer.length >= 8 && buffer.length >= 8 + buffer.readUInt32BE(4)) {
          const body = buffer.subarray(8, 8 + buffer.readUInt32BE(4));
          if (buffer.readUInt32BE(0) === 4) socket.write(frame(4, body));
          else answer(socket, body.toString());
          buffer = buffer.subarray(8 + buffer.readUInt32BE(4));
        }
      });
    });
    server.listen(path);
    await once(server, 'listening');
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
    rmSync(home, { recursive: true, force: true });
  });

  it('asks one command after the other over one connection, and puts parts together', async () => {
    answer = (socket, command) => {
      const whole = Buffer.concat([frame(1, `you said `), frame(1, `${command}\n`), succeeded]);
      socket.write(whole.subarray(0, 11));
      setTimeout(() => socket.write(whole.subarray(11)), 5);
    };
    const radmin = createRadmin(path);
    const answers = await Promise.all([radmin.ask('one'), radmin.ask('two')]);
    expect(answers).to.deep.equal([
      { ok: true, text: 'you said one\n' },
      { ok: true, text: 'you said two\n' },
    ]);
    expect(radmin.connections()).to.equal(1);
    radmin.close();
  });

  it('silence is a timeout, a closed connection is unreachable, and the next command connects again', async () => {
    const radmin = createRadmin(path, { timeoutMs: 50 });
    answer = () => undefined;
    expect(await radmin.ask('hello')).to.deep.equal({ ok: false, reason: 'timeout' });
    answer = (socket) => socket.destroy();
    expect(await radmin.ask('hello')).to.deep.equal({ ok: false, reason: 'unreachable' });
    answer = (socket) => socket.write(succeeded);
    expect(await radmin.ask('hello')).to.deep.equal({ ok: true, text: '' });
    expect(radmin.connections()).to.equal(3);
    radmin.close();
  });

  it('an error of the server is a refusal; nobody there is unreachable', async () => {
    answer = (socket) => socket.write(Buffer.concat([frame(2, 'no\n'), frame(3, Buffer.alloc(4))]));
    const radmin = createRadmin(path);
    expect(await radmin.ask('hello')).to.deep.equal({ ok: false, reason: 'refused' });
    radmin.close();
    const nobody = createRadmin(join(home, 'nobody.sock'));
    expect(await nobody.ask('hello')).to.deep.equal({ ok: false, reason: 'unreachable' });
  });

  it('a host name is never asked about: the server would look it up in its network thread', async () => {
    const asked: string[] = [];
    answer = (socket, command) => {
      asked.push(command);
      socket.write(succeeded);
    };
    const radmin = createRadmin(path);
    expect(await askLoadedClient(radmin, 'router.example')).to.deep.equal({ ok: false, reason: 'refused' });
    expect(await askClientCounters(radmin, 'acct', 'router.example')).to.equal(undefined);
    expect(asked).to.deep.equal([]);
    radmin.close();
  });

  it('the network around an address is not the client', () => {
    const text = 'client routers {\n\tipaddr = 0.0.0.0/0\n\tdynamic_clients = clients\n\tlifetime = 1\n}\n';
    expect(parseClientConfig(text, '10.0.0.7')).to.equal(undefined);
  });
});
