/** Where a verb writes: text for people, or with --json one document for programs. */
export interface Output {
  readonly isJson: boolean;
  /** The answer: `data` under --json, else the lines that `render` makes of it. */
  show(data: unknown, render: () => readonly string[]): void;
  /** One JSON document on a line of its own, or one line of text: for verbs that go on and on. */
  event(data: unknown, line: string): void;
  /** Raw text for a screen that is redrawn in place. */
  raw(text: string): void;
  /** How far long work has come: one line that moves, on a terminal only. Never part of the answer. */
  progress(text: string): void;
  progressEnd(): void;
  /** A remark for people, on standard error. */
  note(text: string): void;
}

export interface Streams {
  stdout: (text: string) => void;
  stderr: (text: string) => void;
  isErrorTerminal: boolean;
}

export function createOutput(streams: Streams, isJson: boolean): Output {
  let isMoving = false;
  const end = () => {
    if (isMoving) streams.stderr('\r\u001b[K');
    isMoving = false;
  };
  return {
    isJson,
    show(data, render) {
      end();
      if (isJson) streams.stdout(`${toJson(data, 2)}\n`);
      else
        streams.stdout(
          render()
            .map((line) => `${line}\n`)
            .join(''),
        );
    },
    event(data, line) {
      streams.stdout(isJson ? `${toJson(data)}\n` : `${line}\n`);
    },
    raw: streams.stdout,
    progress(text) {
      if (!streams.isErrorTerminal) return;
      isMoving = true;
      streams.stderr(`\r\u001b[K${printable(text).slice(0, 78)}`);
    },
    progressEnd: end,
    note(text) {
      end();
      streams.stderr(`${text}\n`);
    },
  };
}

/** Amounts (bigint) become text, so that no program reads them as floats; dates are ISO 8601 UTC. */
export function toJson(data: unknown, indent?: number): string {
  return JSON.stringify(
    data,
    (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
    indent,
  );
}

export interface Column {
  readonly title: string;
  readonly isRight?: boolean;
}

/** Columns as wide as their widest cell; a name from the database cannot move the cursor or add a line. */
export function table(columns: readonly (string | Column)[], rows: readonly (readonly string[])[]): string[] {
  const heads = columns.map((column) => (typeof column === 'string' ? { title: column } : column));
  const cells = rows.map((row) => row.map(printable));
  const widths = heads.map((head, index) =>
    Math.max(widthOf(head.title), ...cells.map((row) => widthOf(row[index] ?? ''))),
  );
  const lineOf = (row: readonly string[]) =>
    heads
      .map((head, index) => {
        const gap = ' '.repeat(Math.max(0, (widths[index] ?? 0) - widthOf(row[index] ?? '')));
        return head.isRight === true ? gap + (row[index] ?? '') : (row[index] ?? '') + gap;
      })
      .join('  ')
      .trimEnd();
  return [lineOf(heads.map((head) => head.title)), ...cells.map(lineOf)];
}

/** `name   value` lines; a value of several lines goes on below itself. Undefined values are left out. */
export function facts(
  pairs: readonly (readonly [string, string | readonly string[] | undefined])[],
): string[] {
  const shown = pairs.filter(
    (pair): pair is readonly [string, string | readonly string[]] => pair[1] !== undefined,
  );
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.flatMap(([name, value]) => {
    const lines = typeof value === 'string' ? [value] : value;
    return lines.map((line, index) => `${(index === 0 ? name : '').padEnd(width)}  ${printable(line)}`);
  });
}

/** Control characters as a visible substitute: what a terminal would obey must not come from a database. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\ufffd');
}

function widthOf(text: string): number {
  return [...text].length;
}
