import { expect } from 'chai';
import { fixedClock } from '../../src/clock.ts';
import type { CommandContext } from '../../src/command.ts';
import { findStaffSession, sessionsOfStaff } from '../../src/db/staff-sessions.ts';
import { codeAt } from '../../src/domain/totp.ts';
import {
  addFirstOwner,
  addStaff,
  beginTotp,
  changeOwnPassword,
  confirmTotp,
  setStaff,
} from '../../src/staff/manage-staff.ts';
import { hashOf, signIn, signOut } from '../../src/staff/sign-in.ts';
import { testContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

const browser = { address: '10.0.0.9', agent: 'test' };
const right = 'correct horse battery';

describe('staff', () => {
  let t: TestDb;
  let ctx: CommandContext;
  let owner: string;
  const clock = fixedClock('2026-05-01T10:00:00Z');

  before(async () => {
    t = await testDb();
    ctx = { ...testContext(t.db, { now: '2026-05-01T10:00:00Z' }), clock };
    owner = await addFirstOwner(ctx, { username: 'Rina', name: 'Rina Das', password: right });
  });
  after(() => t.drop());

  const tryIn = (password: string, code = '', username = 'rina') =>
    signIn(ctx, { username, password, code, ...browser });

  it('addFirstOwner, when there is somebody already, refuses', async () => {
    const error = await addFirstOwner(ctx, { username: 'second', name: 'S', password: right }).catch(
      (e: unknown) => e,
    );
    expect(error).to.have.property('kind', 'conflict');
  });

  it('addStaff, with a bad field, names it', async () => {
    const bad: [Parameters<typeof addStaff>[1], string][] = [
      [{ username: 'a b', name: 'n', role: 'noc', password: right }, 'username'],
      [{ username: 'nora', name: ' ', role: 'noc', password: right }, 'name'],
      [{ username: 'nora', name: 'n', role: 'boss', password: right }, 'role'],
      [{ username: 'nora', name: 'n', role: 'noc', password: 'short' }, 'password'],
      [{ username: 'nora', name: 'n', role: 'noc', password: 'nora-nora-nora' }, 'password'],
      [{ username: 'rina', name: 'n', role: 'noc', password: right }, 'username'],
    ];
    for (const [input, field] of bad) {
      expect(await addStaff(ctx, input).catch((e: unknown) => e), JSON.stringify(input)).to.have.property(
        'field',
        field,
      );
    }
  });

  it('signIn, opens a session under a new id and ends the one that the browser had', async () => {
    const first = await tryIn(right);
    if (!first.ok) throw new Error('not signed in');
    const second = await signIn(ctx, {
      username: 'rina',
      password: right,
      code: '',
      oldSessionId: first.sessionId,
      ...browser,
    });
    if (!second.ok) throw new Error('not signed in');
    expect(second.sessionId).to.not.equal(first.sessionId);
    expect(await findStaffSession(t.db, hashOf(first.sessionId), clock.now())).to.equal(undefined);
    expect(await findStaffSession(t.db, hashOf(second.sessionId), clock.now())).to.include({
      username: 'rina',
    });
    await signOut(ctx, second.sessionId);
    expect(await findStaffSession(t.db, hashOf(second.sessionId), clock.now())).to.equal(undefined);
  });

  it('signIn, with a wrong name or a wrong password, says the same', async () => {
    expect(await tryIn('wrong password!')).to.deep.equal({ ok: false, reason: 'wrong' });
    expect(await tryIn(right, '', 'nobody')).to.deep.equal({ ok: false, reason: 'wrong' });
  });

  it('signIn, after five failures, is locked for a minute, also for the right password', async () => {
    for (let count = 0; count < 3; count++) await tryIn('wrong password!');
    const fifth = await tryIn('wrong password!');
    expect(fifth).to.include({ ok: false, reason: 'locked' });
    expect(await tryIn(right)).to.include({ ok: false, reason: 'locked' });
    clock.advance(61_000);
    expect(await tryIn(right)).to.include({ ok: true });
  });

  it('findStaffSession, after twelve quiet hours, is gone', async () => {
    const result = await tryIn(right);
    if (!result.ok) throw new Error('not signed in');
    const later = new Date(clock.now().getTime() + 12 * 3600_000 + 1000);
    expect(await findStaffSession(t.db, hashOf(result.sessionId), later)).to.equal(undefined);
  });

  it('changeOwnPassword, ends all other sessions', async () => {
    const [here, there] = [await tryIn(right), await tryIn(right)];
    if (!here.ok || !there.ok) throw new Error('not signed in');
    const next = 'another long passphrase';
    await changeOwnPassword(ctx, {
      staffId: owner,
      current: right,
      next,
      keepSessionHash: hashOf(here.sessionId),
    });
    const left = await sessionsOfStaff(t.db, owner, clock.now());
    expect(left.map((session) => session.idHash)).to.deep.equal([hashOf(here.sessionId)]);
    await changeOwnPassword(ctx, { staffId: owner, current: next, next: right, keepSessionHash: '' });
  });

  it('signIn, with one-time codes on, wants a code, and takes each code once', async () => {
    const secret = await beginTotp(ctx, owner);
    const step = () => Math.floor(clock.now().getTime() / 30_000);
    expect(await tryIn(right)).to.include({ ok: true });
    await confirmTotp(ctx, owner, codeAt(secret, step()));
    expect(await tryIn(right)).to.deep.equal({ ok: false, reason: 'code_needed' });
    expect(await tryIn(right, codeAt(secret, step()))).to.include({ reason: 'code_wrong' });
    clock.advance(30_000);
    const code = codeAt(secret, step());
    expect(await tryIn(right, code)).to.include({ ok: true });
    expect(await tryIn(right, code)).to.include({ reason: 'code_wrong' });
  });

  it('setStaff, on the last owner, refuses; on others, ends their sessions when they are disabled', async () => {
    expect(await setStaff(ctx, owner, { role: 'noc' }).catch((e: unknown) => e)).to.have.property(
      'kind',
      'conflict',
    );
    const noc = await addStaff(ctx, { username: 'nora', name: 'Nora', role: 'noc', password: right });
    const session = await tryIn(right, '', 'nora');
    if (!session.ok) throw new Error('not signed in');
    await setStaff(ctx, noc, { isDisabled: true });
    expect(await findStaffSession(t.db, hashOf(session.sessionId), clock.now())).to.equal(undefined);
    expect(await tryIn(right, '', 'nora')).to.deep.equal({ ok: false, reason: 'wrong' });
  });

  it('passwords, and what stands for them, are not in the activity log', async () => {
    const diffs = await t.db('activity').pluck<string[]>('diff');
    expect(diffs.join()).to.not.match(/correct horse|scrypt|passphrase/);
  });
});
