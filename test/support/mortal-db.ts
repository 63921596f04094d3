import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Knex } from 'knex';
import { type DbAddress, openDb } from '../../src/db/knex.ts';

/**
 * A pool whose way to the database leads through a wire that breaks. The wire counts statements (COM_QUERY of the MySQL
 * protocol), so it can break before the n-th is sent, or after it was carried out and before its answer arrives: also
 * the answer to a COMMIT, which no fault inside the client can show.
 */
export interface MortalDb {
  db: Knex;
  /** Statements that came by. */
  seen: () => number;
  /** Which of them were a COMMIT, counted from 1. */
  commits: () => readonly number[];
  hasBroken: () => boolean;
  close: () => Promise<void>;
}

export interface Break {
  /** The process dies at its n-th statement: nothing passes any more, on any connection. */
  diesAt?: number;
  /** The fatal statement is carried out; only its answer is lost. */
  afterAnswer?: boolean;
  /** One connection breaks with the answer to the first COMMIT; new ones work. */
  losesFirstCommit?: boolean;
}

export async function mortalDb(address: DbAddress, fault: Break = {}): Promise<MortalDb> {
  const wire = new Wire(address, fault);
  const port = await wire.listen();
  const db = openDb({ ...address, host: '127.0.0.1', port }, { poolMax: 4 });
  return {
    db,
    seen: () => wire.statements,
    commits: () => wire.commits,
    hasBroken: () => wire.hasBroken,
    close: async () => {
      wire.cut();
      await db.destroy().catch(() => undefined);
    },
  };
}

const comQuery = 3;

class Wire {
  statements = 0;
  readonly commits: number[] = [];
  hasBroken = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #fault: Break;

  constructor(address: DbAddress, fault: Break) {
    this.#fault = fault;
    this.#server = createServer((client) => {
      this.#join(client, connect(address.port, address.host));
    });
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => {
        const at = this.#server.address();
        resolve(typeof at === 'object' && at !== null ? at.port : 0);
      });
    });
  }

  cut(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket, server: Socket): void {
    let breaksWithAnswer = false;
    const isCommand = commandReader();
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (bytes) => {
      const command = isCommand(bytes);
      if (command !== undefined) {
        this.statements += 1;
        if (command.startsWith('COMMIT')) this.commits.push(this.statements);
        const verdict = this.#judge(command);
        if (verdict === 'break') return;
        breaksWithAnswer = verdict === 'break with the answer';
      }
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (!breaksWithAnswer) {
        client.write(bytes);
        return;
      }
      this.hasBroken = true;
      if (this.#fault.losesFirstCommit === true) client.destroy();
      else this.cut();
    });
  }

  #judge(command: string): 'pass' | 'break' | 'break with the answer' {
    const { diesAt, afterAnswer, losesFirstCommit } = this.#fault;
    if (losesFirstCommit === true) {
      return !this.hasBroken && command.startsWith('COMMIT') ? 'break with the answer' : 'pass';
    }
    if (diesAt === undefined || this.statements < diesAt) return 'pass';
    if (afterAnswer === true && this.statements === diesAt) return 'break with the answer';
    this.hasBroken = true;
    this.cut();
    return 'break';
  }
}

/** Gives the beginning of each COM_QUERY that goes by: a packet is a three-byte length, a number, and the command. */
function commandReader(): (bytes: Buffer) => string | undefined {
  let left = 0;
  return (bytes) => {
    let at = 0;
    let found: string | undefined;
    while (at < bytes.length) {
      if (left > 0) {
        const skipped = Math.min(left, bytes.length - at);
        left -= skipped;
        at += skipped;
        continue;
      }
      const length = bytes.readUIntLE(at, 3);
      if (bytes[at + 3] === 0 && bytes[at + 4] === comQuery) {
        found = bytes.toString('latin1', at + 5, at + 25);
      }
      left = length;
      at += 4;
    }
    return found;
  };
}
