import { commonOptions } from './parse.ts';
import type { Group, Option, Verb } from './verb.ts';
import { verbs } from './verbs.ts';

const groups: readonly Group[] = ['Subscribers', 'Access', 'Money', 'Packages', 'Network', 'Operation'];

/** What the program says when it is run without arguments. */
export function overview(): string {
  const width = Math.max(...verbs.map((verb) => usageOf(verb).length));
  const column = Math.min(width, 46);
  const lines = groups.flatMap((group) => [
    '',
    group,
    ...verbs
      .filter((verb) => verb.group === group)
      .map((verb) => `  ${usageOf(verb).padEnd(column)}  ${verb.summary}`),
  ]);
  return `${[
    'sluice: subscribers, their access and their money.',
    '',
    'Usage: sluice VERB [ARGUMENTS] [--json] [--actor NAME]',
    ...lines,
    '',
    'Examples',
    '  sluice access demo-full                                   what is wanted, what is there, and why',
    '  sluice pay demo-blocked 840.00 --channel cash --reference R-1042',
    '  sluice overdue-run --as-of 2026-12-01                     a preview; nothing is changed',
    '  sluice watch                                              what happens now',
    '',
    '"sluice help VERB" explains one. Exit codes: 0 done, 1 refused or failed, 2 wrongly typed.',
  ].join('\n')}\n`;
}

function usageOf(verb: Verb): string {
  const positionals = (verb.positionals ?? []).map((positional) =>
    positional.isOptional === true ? `[${positional.name}]` : positional.name,
  );
  return [verb.name, ...positionals].join(' ');
}

/** Usage, options and examples of one verb. */
export function helpFor(verb: Verb): string {
  const options = Object.entries({ ...verb.options, ...commonOptions });
  const left = ([name, option]: [string, Option]) =>
    `--${name}${option.value === undefined ? '' : ` ${option.value}`}`;
  const width = Math.max(...options.map((entry) => left(entry).length));
  return `${[
    `Usage: sluice ${usageOf(verb)} [OPTIONS]`,
    '',
    `${verb.summary}.`,
    ...(verb.details ?? []).flatMap((paragraph) => ['', ...wrapped(paragraph, 96)]),
    '',
    'Options',
    ...options.map((entry) => {
      const about = entry[1].isList === true ? `${entry[1].about} (may be repeated)` : entry[1].about;
      return `  ${left(entry).padEnd(width)}  ${about}`;
    }),
    '',
    'Examples',
    ...verb.examples.map((example) => `  sluice ${example}`),
  ].join('\n')}\n`;
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
