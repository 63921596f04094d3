import { changeSettings } from '../../catalog/change-settings.ts';
import { defaultSettings, type OperatorSettings } from '../../db/settings.ts';
import { nearest } from '../nearest.ts';
import { invalid } from '../../errors.ts';
import { facts } from '../output.ts';
import type { Verb } from '../verb.ts';

const words = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const names = Object.keys(defaultSettings) as (keyof OperatorSettings)[];

export const settingsShow: Verb = {
  name: 'settings',
  group: 'Operation',
  summary: 'what the operator decided once: zone, currency, limits',
  examples: ['settings'],
  async run(call) {
    const settings = await call.settings();
    call.out.show({ ok: true, settings }, () =>
      facts(names.map((name) => [words(name), String(settings[name])] as const)),
    );
    return undefined;
  },
};

export const settingsSet: Verb = {
  name: 'settings set',
  group: 'Operation',
  summary: 'changes one of them; rates and lists reach every login',
  positionals: [{ name: 'NAME' }, { name: 'VALUE' }],
  details: ['The currency and its exponent are fixed once something has been posted.'],
  examples: [
    'settings set zone Asia/Dhaka',
    'settings set overdue-run-at 09:30',
    'settings set overdue-limit-permille 50',
  ],
  async run(call) {
    const typed = call.positional('NAME');
    const name = names.find((one) => one === typed || words(one) === typed);
    if (name === undefined) {
      const near = nearest(typed, names.map(words));
      throw invalid('NAME', `is not a setting${near === undefined ? '' : `; did you mean ${near}?`}`);
    }
    const result = await changeSettings(call.context(), { name, value: call.positional('VALUE') });
    call.out.show({ ok: true, ...result }, () => [
      result.isChanged
        ? `${words(name)} is ${String(result.after)} now; it was ${String(result.before)}.`
        : 'It is that already.',
    ]);
    return undefined;
  },
};
