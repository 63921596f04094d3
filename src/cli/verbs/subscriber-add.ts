import { addSubscriber, addSubscription } from '../../subscribers/register.ts';
import { requireSubscriber } from '../subject.ts';
import { facts } from '../output.ts';
import { optional } from '../optional.ts';
import { type Call, UsageError, type Verb } from '../verb.ts';
import { passwordOf } from '../secret.ts';

export const subscriberAdd: Verb = {
  name: 'subscriber add',
  group: 'Subscribers',
  summary: 'registers a subscriber with a subscription and its login',
  options: {
    name: { value: 'NAME', about: 'the person or firm who pays' },
    profile: { value: 'NAME', about: 'billing profile: due days, grace and what happens after them' },
    package: { value: 'NAME', about: 'what they take' },
    username: { value: 'USERNAME', about: 'what the router dials with; never given twice' },
    password: { value: 'TEXT', about: 'shows in the process list; left out, one is made and shown once' },
    'password-stdin': { about: 'reads the password from the first line of standard input' },
    phone: { value: 'NUMBER', about: 'telephone' },
    email: { value: 'ADDRESS', about: 'e-mail' },
    street: { value: 'TEXT', about: 'where they live' },
    'mac-lock': { value: 'MAC', about: 'only this device may dial' },
    'static-ip': { value: 'IPV4', about: 'a fixed address' },
    'ipv6-prefix': { value: 'PREFIX', about: 'a fixed delegated prefix, such as 2001:db8:7::/56' },
    sessions: { value: 'NUMBER', about: 'how many at once; 1 where it is left out, 0 is not limited' },
    'anchor-on': { value: 'DAY', about: 'the first day that is billed; today where it is left out' },
    price: { value: 'AMOUNT', about: "a price for this subscription instead of the package's" },
    for: {
      value: 'WHO',
      about: 'adds the subscription to a subscriber that is there: a username or #number',
    },
  },
  details: [
    'Everything is one transaction; the login can dial as soon as the worker has written its rows, which takes a moment. "sluice access USERNAME" shows it.',
  ],
  examples: [
    'subscriber add --name "Amina Haddad" --profile monthly-block --package "Home 50" --username amina',
    'subscriber add --for amina --package "Home 10" --username amina-shop',
  ],
  async run(call) {
    const ctx = call.context();
    const login = await loginInput(call);
    const payer = call.maybeText('for');
    const registered =
      payer === undefined
        ? await addSubscriber(ctx, {
            name: call.text('name'),
            billingProfile: call.text('profile'),
            ...optional('phone', call.maybeText('phone')),
            ...optional('email', call.maybeText('email')),
            ...optional('street', call.maybeText('street')),
            ...login,
          })
        : await addSubscription(ctx, { subscriberId: await onlyPayer(call, payer), ...login });
    call.out.show({ ok: true, ...registered }, () =>
      facts([
        ['subscriber', `#${registered.subscriberId}`],
        ['username', registered.username],
        [
          'password',
          registered.generatedPassword === undefined
            ? undefined
            : `${registered.generatedPassword}   (shown this once)`,
        ],
      ]),
    );
    return undefined;
  },
};

async function loginInput(call: Call) {
  const price = await call.amount('price');
  return {
    username: call.text('username'),
    package: call.text('package'),
    ...optional('password', await passwordOf(call)),
    ...optional('macLock', call.maybeText('mac-lock')),
    ...optional('staticIpv4', call.maybeText('static-ip')),
    ...optional('delegatedIpv6Prefix', call.maybeText('ipv6-prefix')),
    ...optional('simultaneousUse', call.whole('sessions')),
    ...optional('anchorOn', call.maybeText('anchor-on')),
    ...optional('priceOverrideMinor', price),
  };
}

async function onlyPayer(call: Call, who: string) {
  for (const name of ['name', 'profile', 'phone', 'email', 'street']) {
    if (call.has(name))
      throw new UsageError(`--${name}: cannot be given with --for, whose subscriber has one`);
  }
  return requireSubscriber(call.app().db, who);
}
