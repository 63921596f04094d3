import type { App } from '../app.ts';
import type { CommandContext } from '../command.ts';
import type { Clock } from '../clock.ts';
import type { OperatorSettings } from '../db/settings.ts';
import type { Day } from '../domain/day.ts';
import type { Output } from './output.ts';

export type Group = 'Subscribers' | 'Access' | 'Money' | 'Packages' | 'Network' | 'Operation';

export interface Option {
  /** What stands for the value in the help, such as NAME; a flag has none. */
  readonly value?: string;
  readonly about: string;
  /** May be given more than once. */
  readonly isList?: boolean;
}

export interface Positional {
  readonly name: string;
  readonly isOptional?: boolean;
}

/** One verb: what the help says of it, and what it does. */
export interface Verb {
  readonly name: string;
  readonly group: Group;
  readonly summary: string;
  readonly positionals?: readonly Positional[];
  readonly options?: Readonly<Record<string, Option>>;
  /** Paragraphs of the help. */
  readonly details?: readonly string[];
  /** Without the program's name. */
  readonly examples: readonly string[];
  /** Gives the exit code; nothing is 0. Refusals are 1. */
  run(call: Call): Promise<number> | Promise<undefined> | Promise<number | undefined>;
}

/** What a verb is handed: its parsed arguments, the opened parts, and where to write. */
export interface Call {
  readonly out: Output;
  readonly clock: Clock;
  readonly env: NodeJS.ProcessEnv;
  /** Where the other end is a person who watches, sizes and keys; undefined where it is piped. */
  readonly terminal: Terminal | undefined;
  /** Aborted when the process is asked to end. */
  readonly signal: AbortSignal;
  app(): App;
  context(): CommandContext;
  settings(): Promise<OperatorSettings>;
  positional(name: string): string;
  maybePositional(name: string): string | undefined;
  has(option: string): boolean;
  text(option: string): string;
  maybeText(option: string): string | undefined;
  list(option: string): readonly string[];
  whole(option: string): number | undefined;
  day(option: string): Day | undefined;
  /** Minor units of the operator's currency. */
  amount(option: string): Promise<bigint | undefined>;
  /** The first line of standard input, for secrets that must not show in a process list. */
  firstInputLine(): Promise<string>;
}

export interface Terminal {
  columns(): number;
  rows(): number;
}

/** Something in what was typed is not right: exit code 2, with the verb's usage. */
export class UsageError extends Error {}
