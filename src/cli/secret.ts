import { type Call, UsageError } from './verb.ts';

/** The password from --password or from standard input; undefined where neither is given. */
export async function passwordOf(call: Call, name = 'password'): Promise<string | undefined> {
  if (!call.has(`${name}-stdin`)) return call.maybeText(name);
  if (call.has(name)) throw new UsageError(`--${name}: cannot be given with --${name}-stdin`);
  return call.firstInputLine();
}
