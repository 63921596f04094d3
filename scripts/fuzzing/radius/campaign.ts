import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { diceFor } from '../../seed/random.ts';
import type { Campaign, CampaignOptions } from '../campaign.ts';
import { inspect } from './inspect.ts';
import { accessRequest, accountingRequest, hidden, integer, makeRadiusCase } from './packets.ts';
import { droppedAt, Sender } from './sender.ts';
import { openRadiusWorld, type RadiusWorld } from './world.ts';

/** After so many packets the server has to answer a good login and good accounting before more are sent. */
const stretch = 96;
const patienceMs = 20_000;

/** Packets at speed to the real FreeRADIUS, with our configuration, our database and the workers that read its tables. */
export const radius: Campaign = {
  name: 'radius',
  async run(options) {
    const world = await openRadiusWorld();
    const senders: Sender[] = [];
    try {
      for (const router of world.routers) senders.push(await Sender.open(router.address, router.secret, 8));
      const stranger = await Sender.open('127.0.0.99', 'nobody', 1);
      senders.push(stranger);
      const acknowledged = await sendAll(world, senders, stranger, options);
      await inspect(world, acknowledged, options);
    } finally {
      for (const sender of senders) sender.close();
      await world.close();
    }
  },
};

/** Gives the session ids that the server has said it stored. */
async function sendAll(
  world: RadiusWorld,
  senders: readonly Sender[],
  stranger: Sender,
  options: CampaignOptions,
): Promise<Set<string>> {
  const { seed, tally, from, cases } = options;
  const acknowledged = new Set<string>();
  const before: Buffer[][] = world.routers.map(() => []);
  const ports = { auth: world.radius.authPort, acct: world.radius.acctPort };
  const said = new Map<number, string>([
    [2, 'accept'],
    [3, 'reject'],
    [5, 'accounted'],
    [11, 'challenge'],
  ]);
  await theServerAnswers(world, senders, from, options);
  for (let number = from; number < from + cases; number++) {
    const index = Math.floor(number / 256) % world.routers.length;
    const router = world.routers[index];
    const dice = diceFor(`${seed}/radius/${number}`);
    if (router === undefined) break;
    const sent = before[index] ?? [];
    const one = makeRadiusCase(dice, { secret: router.secret, number, logins: world.logins, before: sent });
    const sender = one.isStranger ? stranger : senders[index];
    tally.count(one.kind);
    sender?.send(number, one.bytes, ports[one.port], (code) => {
      const answer = `${one.kind}: ${said.get(code) ?? `code ${code}`}`;
      tally.kinds.set(answer, (tally.kinds.get(answer) ?? 0) + 1);
      if (code === 5 && one.keeps !== null) acknowledged.add(one.keeps);
    });
    sent.push(one.bytes);
    if (sent.length > 50) sent.shift();
    if (number % stretch === stretch - 1) await theServerAnswers(world, senders, number, options);
  }
  await theServerAnswers(world, senders, from + cases, options);
  await wait(2000);
  const dropped = droppedAt([ports.auth, ports.acct]);
  tally.kinds.set('not read in time, thrown away by the kernel', dropped);
  return acknowledged;
}

/** A good login is accepted and good accounting is stored, on every router in turn: both ports live and keep up. */
async function theServerAnswers(
  world: RadiusWorld,
  senders: readonly Sender[],
  number: number,
  options: CampaignOptions,
): Promise<void> {
  const index = Math.floor(number / stretch) % world.routers.length;
  const [router, sender, login] = [world.routers[index], senders[index], world.logins[index * 3]];
  if (router === undefined || sender === undefined || login === undefined) return;
  // On the last socket's identifiers: a case that has the same one only loses its answer.
  const by = { secret: router.secret, number: 7 * 256 + (Math.floor(number / stretch) % 256) };
  const authenticator = randomBytes(16);
  const access = accessRequest(
    [
      [1, Buffer.from(login.username)],
      [2, hidden(Buffer.from(login.password), authenticator, router.secret)],
      [31, Buffer.from('02:5A:00:00:00:77')],
    ],
    authenticator,
    by,
  );
  const accounting = accountingRequest(
    [
      [40, integer(3)],
      [44, Buffer.from(`alive-${index}`)],
      [1, Buffer.from(login.username)],
      [46, integer(number % 100_000)],
    ],
    { ...by, number: by.number + 256 },
  );
  for (const [what, bytes, port, wanted, at] of [
    ['a good login is accepted', access, world.radius.authPort, 2, by.number],
    ['good accounting is stored', accounting, world.radius.acctPort, 5, by.number + 256],
  ] as const) {
    const code = await answerTo(sender, at, bytes, port);
    if (code !== wanted)
      options.tally.found({ rule: `${what} no more`, case: number, about: `  it said ${code ?? 'nothing'}` });
  }
}

/** Asks again each second, as a router does. */
async function answerTo(
  sender: Sender,
  number: number,
  bytes: Buffer,
  port: number,
): Promise<number | undefined> {
  let code: number | undefined;
  const startedAt = performance.now();
  while (code === undefined && performance.now() - startedAt < patienceMs) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 1000);
      sender.send(number, bytes, port, (answer) => {
        code = answer;
        clearTimeout(timer);
        resolve();
      });
    });
  }
  return code;
}
