import { changePackage } from '../../subscribers/change-package.ts';
import { setLogin } from '../../subscribers/set-login.ts';
import { terminateSubscription } from '../../subscribers/terminate.ts';
import { count } from '../format.ts';
import { optional } from '../optional.ts';
import { refuse } from '../refusal.ts';
import { passwordOf } from '../secret.ts';
import { requireLogin } from '../subject.ts';
import { type Call, UsageError, type Verb } from '../verb.ts';

export const subscriberPackage: Verb = {
  name: 'subscriber package',
  group: 'Subscribers',
  summary: 'another package: speed at once, price from the next invoice',
  positionals: [{ name: 'USERNAME' }, { name: 'PACKAGE' }],
  options: {
    price: { value: 'AMOUNT', about: "a price agreed for this subscription instead of the package's" },
  },
  examples: ['subscriber package amina "Home 100"'],
  async run(call) {
    const login = await requireLogin(call.app().db, call.positional('USERNAME'));
    const result = await changePackage(call.context(), {
      subscriptionId: login.subscriptionId,
      package: call.positional('PACKAGE'),
      ...optional('priceOverrideMinor', await call.amount('price')),
    });
    if (!result.ok) {
      const text =
        result.reason === 'same_package'
          ? 'They have that package already; nothing was changed.'
          : 'The subscription has ended.';
      return refuse(call, result, text);
    }
    call.out.show(result, () => [`From ${result.from} to ${result.to}. The live session follows at once.`]);
    return undefined;
  },
};

export const subscriberSet: Verb = {
  name: 'subscriber set',
  group: 'Subscribers',
  summary: 'a login: password, MAC lock, addresses, sessions at once',
  positionals: [{ name: 'USERNAME' }],
  options: {
    password: { value: 'TEXT', about: 'shows in the process list' },
    'password-stdin': { about: 'reads the password from the first line of standard input' },
    'new-password': { about: 'makes a password and shows it once' },
    'mac-lock': { value: 'MAC', about: 'only this device may dial; none takes the lock away' },
    'static-ip': { value: 'IPV4', about: 'a fixed address; none takes it away' },
    'ipv6-prefix': { value: 'PREFIX', about: 'a fixed delegated prefix; none takes it away' },
    sessions: { value: 'NUMBER', about: 'how many at once; 0 is not limited' },
  },
  examples: [
    'subscriber set amina --mac-lock none',
    'subscriber set amina --new-password',
    'subscriber set amina --sessions 2',
  ],
  async run(call) {
    const login = await requireLogin(call.app().db, call.positional('USERNAME'));
    const password = await passwordOf(call);
    if (call.has('new-password') && password !== undefined) {
      throw new UsageError('--new-password: cannot be given with a password');
    }
    const result = await setLogin(call.context(), {
      loginId: login.id,
      ...optional('password', password),
      ...(call.has('new-password') ? { isPasswordGenerated: true } : {}),
      ...optional('macLock', orNone(call, 'mac-lock')),
      ...optional('staticIpv4', orNone(call, 'static-ip')),
      ...optional('delegatedIpv6Prefix', orNone(call, 'ipv6-prefix')),
      ...optional('simultaneousUse', call.whole('sessions')),
    });
    if (!result.ok) {
      const texts = {
        nothing_given: 'Nothing was given to change; "sluice help subscriber set" says what there is.',
        nothing_changed: 'It has all of that already; nothing was changed.',
        login_retired: 'The login is retired.',
      };
      return refuse(call, result, texts[result.reason]);
    }
    call.out.show(result, () => [
      `Changed: ${result.changed.join(', ')}.`,
      ...(result.generatedPassword === undefined
        ? []
        : [`Password: ${result.generatedPassword}   (shown this once)`]),
    ]);
    return undefined;
  },
};

function orNone(call: Call, option: string): string | null | undefined {
  const value = call.maybeText(option);
  return value === 'none' ? null : value;
}

export const subscriberTerminate: Verb = {
  name: 'subscriber terminate',
  group: 'Subscribers',
  summary: 'ends a subscription for good; its usernames are never given again',
  positionals: [{ name: 'USERNAME' }],
  options: {
    yes: { about: 'says that you mean it' },
    note: { value: 'TEXT', about: 'why' },
  },
  details: [
    'The subscription of that login ends with all its logins. What is owed stays owed. This cannot be undone.',
  ],
  examples: ['subscriber terminate amina --yes --note "moved away"'],
  async run(call) {
    if (!call.has('yes'))
      throw new UsageError('--yes: is missing; a terminated subscription does not come back');
    const login = await requireLogin(call.app().db, call.positional('USERNAME'));
    const result = await terminateSubscription(call.context(), {
      subscriptionId: login.subscriptionId,
      ...optional('note', call.maybeText('note')),
    });
    if (!result.ok) return refuse(call, result, 'The subscription has ended already.');
    call.out.show(result, () => [`Ended, with ${count(result.loginIds.length, 'login')}.`]);
    return undefined;
  },
};
