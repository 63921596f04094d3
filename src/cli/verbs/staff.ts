import { allStaff, findStaff } from '../../db/staff.ts';
import { roleNames, staffRoles } from '../../domain/permissions.ts';
import { AppError } from '../../errors.ts';
import { addStaff, resetPassword } from '../../staff/manage-staff.ts';
import { setupCode as codeOf } from '../../staff/setup-code.ts';
import { table } from '../output.ts';
import type { Call, Verb } from '../verb.ts';

const passwordOption = {
  'password-stdin': { about: 'reads the password from the first line of standard input' },
} as const;

export const staffList: Verb = {
  name: 'staff list',
  group: 'Operation',
  summary: 'who may sign in to the pages, and in which role',
  examples: ['staff list'],
  async run(call) {
    const staff = (await allStaff(call.app().db)).map(({ username, name, role, isTotpOn, disabledAt }) => ({
      username,
      name,
      role,
      isTotpOn,
      isDisabled: disabledAt !== null,
    }));
    call.out.show({ ok: true, staff }, () =>
      table(
        ['USERNAME', 'NAME', 'ROLE', 'ONE-TIME CODES', ''],
        staff.map((one) => [
          one.username,
          one.name,
          roleNames[one.role],
          one.isTotpOn ? 'on' : 'off',
          one.isDisabled ? 'disabled' : '',
        ]),
      ),
    );
    return undefined;
  },
};

export const staffAdd: Verb = {
  name: 'staff add',
  group: 'Operation',
  summary: 'somebody who may sign in to the pages',
  positionals: [{ name: 'USERNAME' }],
  options: {
    name: { value: 'NAME', about: 'their name' },
    role: { value: 'ROLE', about: staffRoles.join(', ') },
    ...passwordOption,
  },
  details: ['The password never stands in the command: it would show in the process list.'],
  examples: ['staff add rina --name "Rina Das" --role owner --password-stdin'],
  async run(call) {
    const username = call.positional('USERNAME');
    const id = await addStaff(call.context(), {
      username,
      name: call.text('name'),
      role: call.text('role'),
      password: await passwordOf(call),
    });
    call.out.show({ ok: true, staffId: id, username }, () => [`${username} may sign in now.`]);
    return undefined;
  },
};

export const staffPassword: Verb = {
  name: 'staff password',
  group: 'Operation',
  summary: 'gives somebody a new password; ends their sessions and any lock',
  positionals: [{ name: 'USERNAME' }],
  options: passwordOption,
  examples: ['staff password rina --password-stdin'],
  async run(call) {
    const username = call.positional('USERNAME');
    const staff = await findStaff(call.app().db, { username });
    // Not repeated: a password is typed there by mistake.
    if (staff === undefined)
      throw new AppError('not_found', 'USERNAME: nobody has it; "sluice staff list" lists them', {
        field: 'USERNAME',
      });
    await resetPassword(call.context(), staff.id, await passwordOf(call));
    call.out.show({ ok: true, username }, () => [
      `${username} has a new password and is signed out everywhere.`,
    ]);
    return undefined;
  },
};

export const setupCode: Verb = {
  name: 'setup-code',
  group: 'Operation',
  summary: 'the code that the first-run page asks for, where nobody has an account yet',
  examples: ['setup-code'],
  run(call) {
    const code = codeOf(call.app().vault);
    call.out.show({ ok: true, code }, () => [code]);
    return Promise.resolve(undefined);
  },
};

async function passwordOf(call: Call): Promise<string> {
  if (!call.has('password-stdin')) {
    throw new AppError('invalid', 'password-stdin: is needed: the password comes from standard input', {
      field: 'password-stdin',
    });
  }
  return await call.firstInputLine();
}
