import { hostname } from 'node:os';
import { z } from 'zod';

/** Everything Sluice takes from its environment, typed and frozen. */
export interface Config {
  readonly db: { host: string; port: number; user: string; password: string; database: string };
  /** Keys that seal secrets at rest, newest first: id and 32 bytes. */
  readonly keys: readonly { id: string; key: Buffer }[];
  /** This host's name in heartbeat, lane and client rows. */
  readonly host: string;
  readonly logLevel: string;
  /** Source address of our CoA and Disconnect packets: the one that routers have under /radius. */
  readonly radiusSourceAddress: string;
  readonly wake: { address: string; port: number };
  readonly web: {
    address: string;
    port: number;
    /** Whether browsers reach us by HTTPS: cookies are then for HTTPS only. */
    isHttps: boolean;
    /** Whether one proxy stands in front and says who asked. */
    isBehindProxy: boolean;
    /** Who shows it may read health and metrics from elsewhere than this host. */
    metricsToken: string | undefined;
  };
  /** Where FreeRADIUS reads its client files on this host, and how to ask it what it loaded. */
  readonly freeradius: {
    clientDirectory: string | undefined;
    clientDirectory6: string | undefined;
    controlSocket: string | undefined;
    authAddress: string;
    authPort: number;
    acctPort: number;
    /** FreeRADIUS's own log: where it says who asked without being a router of ours. */
    logFile: string | undefined;
    /** The client that health checks use: Status-Server and the doctor's test login. */
    statusSecret: string | undefined;
  };
}

const port = z.coerce.number().int().min(1).max(65535);
const schema = z.object({
  SLUICE_DB_HOST: z
    .string()
    .regex(/^[^\s,]+(,[^\s,]+)*$/, 'must be a host, or the nodes of a cluster: HOST[:PORT],HOST[:PORT]…'),
  SLUICE_DB_PORT: port.default(3306),
  SLUICE_DB_USER: z.string().min(1),
  SLUICE_DB_PASSWORD: z.string(),
  SLUICE_DB_NAME: z.string().regex(/^\w{1,64}$/, 'must be letters, digits and _, at most 64'),
  SLUICE_KEYS: z
    .string()
    .regex(
      /^[a-z0-9]{1,8}:[0-9a-f]{64}(,[a-z0-9]{1,8}:[0-9a-f]{64})*$/,
      'must be ID:64 hex digits, newest first, separated by commas',
    ),
  SLUICE_HOST: z.string().min(1).max(120).default(hostname()),
  SLUICE_LOG_LEVEL: z.enum(['error', 'warn', 'info', 'debug']).default('info'),
  SLUICE_RADIUS_SOURCE_ADDRESS: z.union([z.ipv4(), z.ipv6()]).default('0.0.0.0'),
  SLUICE_WAKE_ADDRESS: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  SLUICE_WAKE_PORT: z.coerce.number().int().min(0).max(65535).default(0),
  SLUICE_WEB_ADDRESS: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  SLUICE_WEB_PORT: port.default(8080),
  SLUICE_WEB_HTTPS: z.enum(['yes', 'no']).default('no'),
  SLUICE_WEB_PROXY: z.enum(['yes', 'no']).default('no'),
  SLUICE_METRICS_TOKEN: z.string().min(16, 'must be at least 16 characters').optional(),
  SLUICE_CLIENT_DIRECTORY: z.string().optional(),
  SLUICE_CLIENT_DIRECTORY6: z.string().optional(),
  SLUICE_RADMIN_SOCKET: z.string().optional(),
  SLUICE_RADIUS_LOG: z.string().optional(),
  SLUICE_RADIUS_ADDRESS: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  SLUICE_RADIUS_AUTH_PORT: port.default(1812),
  SLUICE_RADIUS_ACCT_PORT: port.default(1813),
  SLUICE_RADIUS_STATUS_SECRET: z.string().optional(),
});

/** Reads the environment. Every missing or bad variable is named at once; values are never repeated. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const parsed = schema.safeParse(env);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => {
      const name = issue.path.join('.');
      return env[name] === undefined ? `  ${name}: is missing` : `  ${name}: ${issue.message}`;
    });
    throw new ConfigError(
      `The environment is not complete:\n${lines.join('\n')}\nSee docs/configuration.md.`,
    );
  }
  const e = parsed.data;
  return Object.freeze({
    db: {
      host: e.SLUICE_DB_HOST,
      port: e.SLUICE_DB_PORT,
      user: e.SLUICE_DB_USER,
      password: e.SLUICE_DB_PASSWORD,
      database: e.SLUICE_DB_NAME,
    },
    keys: e.SLUICE_KEYS.split(',').map((part) => {
      const [id = '', hex = ''] = part.split(':');
      return { id, key: Buffer.from(hex, 'hex') };
    }),
    host: e.SLUICE_HOST,
    logLevel: e.SLUICE_LOG_LEVEL,
    radiusSourceAddress: e.SLUICE_RADIUS_SOURCE_ADDRESS,
    wake: { address: e.SLUICE_WAKE_ADDRESS, port: e.SLUICE_WAKE_PORT },
    web: {
      address: e.SLUICE_WEB_ADDRESS,
      port: e.SLUICE_WEB_PORT,
      isHttps: e.SLUICE_WEB_HTTPS === 'yes',
      isBehindProxy: e.SLUICE_WEB_PROXY === 'yes',
      metricsToken: e.SLUICE_METRICS_TOKEN,
    },
    freeradius: {
      clientDirectory: e.SLUICE_CLIENT_DIRECTORY,
      clientDirectory6: e.SLUICE_CLIENT_DIRECTORY6,
      controlSocket: e.SLUICE_RADMIN_SOCKET,
      logFile: e.SLUICE_RADIUS_LOG,
      authAddress: e.SLUICE_RADIUS_ADDRESS,
      authPort: e.SLUICE_RADIUS_AUTH_PORT,
      acctPort: e.SLUICE_RADIUS_ACCT_PORT,
      statusSecret: e.SLUICE_RADIUS_STATUS_SECRET,
    },
  });
}

export class ConfigError extends Error {}
