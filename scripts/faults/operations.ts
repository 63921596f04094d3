import { spawn } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { projectRoot } from '../servers/place.ts';
import { NoAnswer, type PageAnswer } from './client.ts';
import { packages } from './isp.ts';
import { masterOf } from './observer.ts';
import type { Operation } from './plan.ts';
import { programOf } from './processes.ts';
import type { World } from './world.ts';

/** Something was refused that nothing speaks against, or never came to an end. */
export class OperationFailed extends Error {}

const unfinishedMs = 180_000;
/** A client that sees no progress presses the button again after this. */
const impatientMs = 3000;

/** Does one thing as staff would, asking again until it is done. */
export async function operate(world: World, operation: Operation): Promise<void> {
  switch (operation.kind) {
    case 'payment':
      return operation.via === 'page' ? payOnPage(world, operation) : payAtCommandLine(world, operation);
    case 'overdue_run':
      return runOverdue(world, operation);
    case 'rollback':
      return rollBack(world, operation);
    case 'invoice_run':
      return runInvoices(world);
    case 'speed':
      return changeSpeed(world, operation);
    case 'router':
      return editRouter(world, operation);
    case 'package':
      return changePackage(world, operation);
    case 'hold':
      return hold(world, operation);
    case 'promise':
      return promise(world, operation);
    case 'join':
      return joinUp(world, operation);
  }
}

type Of<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;

async function payOnPage(world: World, { person, reference, amount }: Of<'payment'>): Promise<void> {
  const answer = await world.ann.post(`/subscribers/${person.subscriberId}/payment`, {
    amount,
    channel: 'cash',
    reference,
    receivedOn: world.place.isp.today,
  });
  expectRedirect(answer, `payment ${reference}`);
}

/** The counter's own process may be killed like any other; whoever stands there calls it again. */
async function payAtCommandLine(world: World, { person, reference, amount }: Of<'payment'>): Promise<void> {
  const end = performance.now() + unfinishedMs;
  for (;;) {
    const child = spawn(
      process.execPath,
      [
        ...programOf('src/cli/index'),
        'pay',
        person.username,
        amount,
        '--channel',
        'cash',
        '--reference',
        reference,
      ],
      { cwd: projectRoot, env: { PATH: process.env['PATH'], ...world.envOf('counter') }, stdio: 'ignore' },
    );
    const killer = world.killsCounters ? setTimeout(() => child.kill('SIGKILL'), Math.random() * 1500) : null;
    const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
    if (killer !== null) clearTimeout(killer);
    if (code === 0) return;
    if (performance.now() > end) throw new NoAnswer(`pay --reference ${reference}: code ${code ?? 'killed'}`);
    await wait(200);
  }
}

async function runOverdue(world: World, { once, asOf }: Of<'overdue_run'>): Promise<void> {
  const opened = await world.ann.post('/runs', { asOf, once });
  const id = /^\/runs\/(\d+)$/.exec(opened.location ?? '')?.[1];
  if (id === undefined) throw new OperationFailed(`overdue run of ${asOf}: status ${opened.status}`);
  world.runs.set(once, id);
  await pressUntil(world, `overdue run ${id}`, (state) => {
    if (state === 'applied' || state === 'rolled_back') return 'done';
    if (state === 'planning') return () => world.ann.post(`/runs/${id}/plan`);
    if (state === 'held') return () => world.bob.post(`/runs/${id}/approve`);
    return () => world.ann.post(`/runs/${id}/apply`);
  });
}

async function rollBack(world: World, { once }: Of<'rollback'>): Promise<void> {
  const id = world.runs.get(once) ?? '';
  await pressUntil(world, `rollback of run ${id}`, (state) => {
    if (state === 'rolled_back') return 'done';
    return () => world.ann.post(`/runs/${id}/rollback`, { rollbackNote: 'billed by mistake' });
  });
}

/** Looks at a run's state and presses what comes next; what does not move is pressed again. */
async function pressUntil(
  world: World,
  what: string,
  next: (state: string) => 'done' | (() => Promise<PageAnswer>),
): Promise<void> {
  const id = /\d+/.exec(what)?.[0] ?? '';
  const end = performance.now() + unfinishedMs;
  let pressedFor = '';
  let pressedAt = -Infinity;
  for (;;) {
    const state = await world.observer.runState(id);
    const step = state === undefined ? undefined : next(state);
    if (step === 'done') return;
    const isDue = state !== pressedFor || performance.now() - pressedAt > impatientMs;
    if (step !== undefined && isDue && !(state === 'planning' && pressedFor === '')) {
      await step();
      pressedAt = performance.now();
    } else if (pressedFor === '') {
      pressedAt = performance.now();
    }
    pressedFor = state ?? pressedFor;
    if (performance.now() > end) throw new OperationFailed(`${what} is still ${state ?? 'not readable'}`);
    await wait(150);
  }
}

async function runInvoices(world: World): Promise<void> {
  const end = performance.now() + unfinishedMs;
  for (let askedAt = -Infinity; ;) {
    if (await world.observer.isInvoiceRunDone(world.place.isp.today)) return;
    if (performance.now() > end) throw new OperationFailed('the invoice run did not end');
    if (performance.now() - askedAt > impatientMs) {
      await world.ann.post('/invoice-runs');
      askedAt = performance.now();
    }
    await wait(150);
  }
}

async function changeSpeed(world: World, { masterPackage, rate }: Of<'speed'>): Promise<void> {
  const master = await masterOf(world.observer, masterPackage);
  const answer = await world.bob.post(`/master-packages/${master.id}/edit`, {
    name: masterPackage,
    customerType: 'pppoe',
    billingType: 'monthly',
    rateLimit: rate,
    pppProfile: '',
    pool: 'home',
    ipv6Pool: '',
    delegatedIpv6Pool: '',
    sessionTimeoutSeconds: '',
    idleTimeoutSeconds: '',
    interimSeconds: '60',
    addressList: '',
    isConfirmed: 'yes',
  });
  expectRedirect(answer, `speed of ${masterPackage}`);
}

async function editRouter(world: World, { router, pace, secret }: Of<'router'>): Promise<void> {
  const answer = await world.bob.post(`/routers/${router.id}/edit`, {
    name: router.name,
    address: router.address,
    coaPort: String(router.coaPort),
    rateChange: 'coa',
    pacePerSecond: String(pace),
    ...(secret === undefined ? {} : { secret }),
  });
  // A new secret's lines are shown on the page itself.
  if (answer.status !== 200) expectRedirect(answer, `edit of ${router.name}`);
  if (secret !== undefined) world.lab.routers.get(router.name)?.setSecret(secret);
}

async function changePackage(world: World, { person, package: name }: Of<'package'>): Promise<void> {
  const answer = await world.bob.post(`/subscribers/${person.subscriberId}/package`, {
    subscription: person.subscriptionId,
    package: name,
    price: '',
  });
  // Asked again after a lost answer it says that they have it already.
  if (answer.status === 400 && answer.text.includes('They have that package already')) return;
  expectRedirect(answer, `package of ${person.username}`);
}

async function hold(world: World, { person }: Of<'hold'>): Promise<void> {
  const answer = await world.bob.post(`/subscribers/${person.subscriberId}/hold`, {
    cause: 'staff',
    effect: 'block',
    note: 'asked to wait',
  });
  if (answer.status === 400 && answer.text.includes('It is held for that cause already')) return;
  expectRedirect(answer, `hold of ${person.username}`);
}

async function promise(world: World, { person }: Of<'promise'>): Promise<void> {
  const answer = await world.ann.post(`/subscribers/${person.subscriberId}/promise`, {
    payBy: world.inDays(4),
    note: 'end of the month',
  });
  expectRedirect(answer, `promise of ${person.username}`);
}

async function joinUp(world: World, { username }: Of<'join'>): Promise<void> {
  const answer = await world.bob.post('/subscribers/new', {
    name: `Subscriber ${username}`,
    billingProfile: 'block',
    package: packages[0],
    username,
    password: `line of ${username}`,
    simultaneousUse: '1',
  });
  // Asked again after a lost answer, the username is taken: by themselves.
  if (answer.status === 400 && (await world.observer.hasLogin(username))) return;
  expectRedirect(answer, `new subscriber ${username}`);
}

function expectRedirect(answer: PageAnswer, what: string): void {
  if (answer.status === 303) return;
  const said = /class="(?:invalid-feedback|alert[^"]*)"[^>]*>\s*([^<]+)/.exec(answer.text)?.[1] ?? '';
  throw new OperationFailed(`${what}: status ${answer.status} ${said.trim()}`);
}
