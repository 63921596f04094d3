import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type Fault, faultKinds } from './faults.ts';

/** One field that is wrong, and the rule it breaks; never the value, which may be a secret. */
export interface Problem {
  readonly field: string;
  readonly rule: string;
}

export class InputError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ field, rule }) => `${field}: ${rule}`).join('\n'));
    this.problems = problems;
  }
}

const port = z.int().min(1).max(65535);
const ipv4 = z.ipv4('must be an IPv4 address');
const loopback = ipv4.regex(/^127\./, 'must be in 127.0.0.0/8: the lab never leaves this machine');
const name = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, . _ or -');
const secret = z.string().min(1).max(128);
const seconds = z.number().min(0).max(86_400);
const bytesAtMost = (max: number) =>
  z.string().refine((text) => Buffer.byteLength(text) <= max, `must be at most ${max} bytes`);
const label = bytesAtMost(64).min(1);
const endpoint = z.strictObject({ address: loopback, port });
const range = z
  .tuple([ipv4, ipv4])
  .refine(([first, last]) => numeric(first) <= numeric(last), 'the first address must not be above the last');

const profile = z.strictObject({
  pool: z.string().optional(),
  rateLimit: z.string().optional(),
  addressList: z.string().optional(),
});

export const routerSchema = z.strictObject({
  name,
  /** Source of its packets, and where it takes CoA. */
  address: loopback,
  secret,
  coaPort: port.default(3799),
  dynamicClients: z.array(loopback).min(1).optional(),
  identity: label.optional(),
  claimedAddress: ipv4.optional(),
  serviceName: label.optional(),
  interfaceName: label.optional(),
  timeoutMs: z.int().min(10).max(60_000).optional(),
  attempts: z.int().min(1).max(20).optional(),
  sendsMessageAuthenticator: z.boolean().optional(),
  requiresMessageAuthenticator: z.boolean().optional(),
  interimSeconds: seconds.optional(),
  pools: z.record(z.string().min(1), range).optional(),
  profiles: z.record(z.string().min(1), profile).optional(),
  accountingGiveUpSeconds: seconds.optional(),
  replayWindowSeconds: seconds.optional(),
  clockSkewSeconds: z.number().optional(),
  portBps: z.int().min(1000).optional(),
});

const method = z.enum(['pap', 'chap', 'mschap2']);
const mac = z
  .string()
  .regex(/^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$/, 'must be six pairs of hex digits with colons');

export const dialSchema = z.strictObject({
  username: bytesAtMost(253).min(1),
  password: bytesAtMost(128),
  mac: mac.optional(),
  method: method.optional(),
  usage: z.number().min(0).max(1).optional(),
});

const subscriberSchema = dialSchema.extend({
  /** Name of its router. */
  router: name,
  dialAtStart: z.boolean().default(true),
});

const configSchema = z
  .strictObject({
    control: z.strictObject({ port }),
    authServer: endpoint,
    acctServer: endpoint,
    routers: z.array(routerSchema).max(5000),
    subscribers: z.array(subscriberSchema).max(100_000).default([]),
    /** First and longest wait of a CPE before it dials again; one number is the first, and six times it the longest. */
    redialSeconds: z
      .union([z.number().min(0).max(3600), z.tuple([seconds, seconds])])
      .default([5, 30])
      .transform((value): readonly [number, number] =>
        typeof value === 'number' ? [value, value * 6] : [value[0], Math.max(...value)],
      ),
    /** The first dials are spread over this. */
    dialSpreadSeconds: seconds.default(5),
  })
  .superRefine((config, context) => {
    const routers = new Map<string, number>();
    config.routers.forEach((router, i) => {
      for (const [field, key] of [
        ['name', `name ${router.name}`],
        ['address', `address ${router.address}`],
      ] as const) {
        if (routers.has(key))
          context.addIssue({ code: 'custom', path: ['routers', i, field], message: 'is there twice' });
        routers.set(key, i);
      }
    });
    config.subscribers.forEach((subscriber, i) => {
      if (routers.has(`name ${subscriber.router}`)) return;
      context.addIssue({
        code: 'custom',
        path: ['subscribers', i, 'router'],
        message: 'no router has this name',
      });
    });
  });

export type LabConfig = z.output<typeof configSchema>;
/** What is written into the file: fields with defaults may be left out. */
export type LabConfigInput = z.input<typeof configSchema>;
export type LabSubscriber = LabConfig['subscribers'][number];
export type LabRouterConfig = LabConfig['routers'][number];

const times = z.int().min(1).optional();
const sessionId = z.string().min(1).max(64).optional();

export const faultSchema: z.ZodType<Fault> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('refuse'), times, sessionId, errorCause: z.int().min(200).max(599) }),
  z.strictObject({
    kind: z.literal('ack_late'),
    times,
    sessionId,
    ms: z.int().min(0).max(600_000),
    obeysLate: z.boolean().optional(),
  }),
  z.strictObject({ kind: z.enum(faultKinds).exclude(['refuse', 'ack_late']), times, sessionId }),
]);

/** Reads the lab's configuration; throws InputError naming each field that is wrong. */
export function readLabConfig(file: string): LabConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new InputError([{ field: file, rule: 'cannot be read' }]);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new InputError([{ field: file, rule: 'is not JSON' }]);
  }
  return parseInput(configSchema, json);
}

/** Checks input by its schema; throws InputError with field names such as `routers[1].address`. */
export function parseInput<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new InputError(parsed.error.issues.flatMap((issue) => problemsOf(issue)));
}

function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: fieldName([...issue.path, key]),
      rule: 'is not a field that the lab knows',
    }));
  }
  return [{ field: fieldName(issue.path), rule: issue.message }];
}

function fieldName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'body';
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

function numeric(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
