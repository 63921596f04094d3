/** `--name=number` for each of the defaults; undefined, and the usage on stderr, where something else was typed. */
export function numbersGiven<Defaults extends Record<string, number>>(
  defaults: Defaults,
  usage: string,
): Defaults | undefined {
  const given: Record<string, number> = { ...defaults };
  for (const argument of process.argv.slice(2)) {
    const [, name = '', value = ''] = /^--(\w+)=(\d+)$/.exec(argument) ?? [];
    if (!Object.hasOwn(defaults, name)) {
      process.stderr.write(`usage: ${usage}`);
      process.exitCode = 2;
      return undefined;
    }
    given[name] = Number(value);
  }
  return given as Defaults;
}
