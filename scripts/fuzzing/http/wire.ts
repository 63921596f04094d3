import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  /** By name in lower case; several of one name on lines. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** No whole answer came in this time: it hangs. */
export const patienceMs = 20_000;

/** One connection of HTTP/1.1 on which bytes are sent as they are, and answers are read one after another. */
export class Wire {
  readonly #port: number;
  #socket: Socket | undefined;
  #bytes: Buffer = Buffer.alloc(0);
  #isEnded = false;
  #why = '';
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends one well-formed request and reads its answer; a connection that was closed meanwhile is opened again. */
  async ask(request: Buffer, isHead: boolean): Promise<Answer | 'hangs' | 'closed'> {
    for (let attempt = 1; ; attempt++) {
      const socket = this.#open();
      socket.write(request);
      const answer = await this.#read(isHead);
      if (answer === 'closed' && attempt < 3) {
        this.close();
        continue;
      }
      if (typeof answer === 'string' || answer.headers.get('connection') === 'close') this.close();
      return answer;
    }
  }

  /** Sends any bytes, says that no more will come, and reads what comes until the other side closes. */
  async shout(bytes: Buffer): Promise<Buffer | 'hangs'> {
    this.close();
    this.#open().end(bytes);
    const until = performance.now() + patienceMs;
    while (!this.#isEnded) if (!(await this.#more(until))) return 'hangs';
    const answer = this.#bytes;
    this.close();
    return answer;
  }

  /** What ended the last connection that broke, as the system calls it; nothing where none did. */
  get brokenBy(): string {
    return this.#why;
  }

  close(): void {
    this.#socket?.removeAllListeners('data').removeAllListeners('close').destroy();
    this.#socket = undefined;
    this.#bytes = Buffer.alloc(0);
    this.#isEnded = false;
  }

  #open(): Socket {
    if (this.#socket !== undefined && !this.#isEnded) return this.#socket;
    this.close();
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    socket.on('data', (part) => {
      this.#bytes = this.#bytes.length === 0 ? part : Buffer.concat([this.#bytes, part]);
      this.#wake();
    });
    socket.on('error', (error) => {
      this.#why = (error as NodeJS.ErrnoException).code ?? error.message;
    });
    socket.on('close', () => {
      this.#isEnded = true;
      this.#wake();
    });
    this.#socket = socket;
    return socket;
  }

  /** False where nothing came in time. */
  #more(until: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(1, until - performance.now()));
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  async #read(isHead: boolean): Promise<Answer | 'hangs' | 'closed'> {
    const until = performance.now() + patienceMs;
    for (;;) {
      const read = readAnswer(this.#bytes, isHead, this.#isEnded);
      if (read !== undefined) {
        this.#bytes = this.#bytes.subarray(read.length);
        if (read.answer.status >= 200) return read.answer;
        continue;
      }
      if (this.#isEnded) return 'closed';
      if (!(await this.#more(until))) return 'hangs';
    }
  }
}

/** The first answer in these bytes, or undefined where it is not whole yet. */
export function readAnswer(
  bytes: Buffer,
  isHead: boolean,
  isEnded: boolean,
): { answer: Answer; length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const at = line.indexOf(':');
    const name = line.slice(0, at).toLowerCase();
    const value = line.slice(at + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name) ?? ''}\n${value}` : value);
  }
  const from = end + 4;
  const of = (body: Buffer, length: number) => ({
    answer: { status, headers, body: body.toString('utf8') },
    length,
  });
  if (isHead || status === 204 || status === 304 || status < 200) return of(Buffer.alloc(0), from);
  if (headers.get('transfer-encoding') === 'chunked') {
    const chunks = readChunks(bytes, from);
    return chunks === undefined ? undefined : of(chunks.body, chunks.end);
  }
  const stated = headers.get('content-length');
  if (stated === undefined) return isEnded ? of(bytes.subarray(from), bytes.length) : undefined;
  const to = from + Number(stated);
  return bytes.length < to ? undefined : of(bytes.subarray(from, to), to);
}

function readChunks(bytes: Buffer, from: number): { body: Buffer; end: number } | undefined {
  const parts: Buffer[] = [];
  for (let at = from; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16);
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { body: Buffer.concat(parts), end: next };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = next;
  }
}
