import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startChild, until } from '../../scripts/servers/child.ts';
import { dataRoot, findProgram, makeFolder, serverAccount } from '../../scripts/servers/place.ts';
import { runLoad } from '../../scripts/lab/load.ts';

export interface SmallFreeRadius {
  authPort: number;
  acctPort: number;
  secret: string;
  /** One line an accounting packet: status, session id, NAS-Identifier, user, Class, octets, gigawords, delay, cause. */
  accounting(): string[];
  stop(): Promise<void>;
}

let count = 0;

/**
 * A real FreeRADIUS with users in a file and no database: what the lab's codec says must be understood by somebody else's.
 * Every 127/8 address is its client.
 */
export async function startSmallFreeRadius(users: string): Promise<SmallFreeRadius> {
  const account = serverAccount('freerad');
  const folder = join(dataRoot(), `test-lab-${process.pid}-${++count}`);
  makeFolder(folder, account);
  const [authPort, acctPort] = [await freePort(), await freePort()];
  const secret = 'lab-secret-1';
  writeFileSync(join(folder, 'users'), users);
  writeFileSync(join(folder, 'radiusd.conf'), configuration(folder, authPort, acctPort, secret));
  mkdirSync(join(folder, 'mods-config'), { recursive: true });
  chmodSync(folder, 0o755);
  const program = findProgram('freeradius');
  if (program === undefined) throw new Error('freeradius is not installed: apt-get install freeradius');
  const child = startChild(program, ['-f', '-d', folder, '-n', 'radiusd', '-l', join(folder, 'radius.log')], {
    account,
    logFile: join(folder, 'out.log'),
  });
  await until('FreeRADIUS', () => answers(authPort, secret), { timeoutMs: 15_000, stepMs: 50, child });
  const accountingFile = join(folder, 'accounting.log');
  return {
    authPort,
    acctPort,
    secret,
    accounting: () =>
      existsSync(accountingFile) ? readFileSync(accountingFile, 'utf8').split('\n').filter(Boolean) : [],
    async stop() {
      await child.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(port: number, secret: string): Promise<boolean> {
  const load = await runLoad({
    authServer: { address: '127.0.0.1', port },
    routers: [{ address: '127.0.0.1', secret }],
    logins: [{ username: 'nobody', password: 'nothing' }],
    perSecond: 50,
    durationMs: 40,
    timeoutMs: 200,
    attempts: 1,
  });
  const { accepted, rejected } = await load.finished;
  return accepted + rejected > 0;
}

function configuration(folder: string, authPort: number, acctPort: number, secret: string): string {
  return `prefix = /usr
raddbdir = ${folder}
confdir = \${raddbdir}
logdir = ${folder}
run_dir = ${folder}
name = radiusd
libdir = /usr/lib/freeradius
max_requests = 16384
log {
	destination = files
	file = ${folder}/radius.log
}
security {
	max_attributes = 200
	reject_delay = 0
	status_server = no
}
proxy_requests = no
thread pool {
	start_servers = 4
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 4
	max_queue_size = 16384
}
client lab {
	ipaddr = 127.0.0.0/8
	secret = ${secret}
}
modules {
	pap {
	}
	chap {
	}
	mschap {
	}
	files {
		usersfile = ${folder}/users
	}
	linelog {
		filename = ${folder}/accounting.log
		format = "%{Acct-Status-Type} %{Acct-Session-Id} nas=%{NAS-Identifier} user=%{User-Name} class=%{Class} in=%{Acct-Input-Octets} giga=%{Acct-Input-Gigawords} delay=%{Acct-Delay-Time} cause=%{Acct-Terminate-Cause}"
	}
}
server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = ${authPort}
	}
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = ${acctPort}
	}
	authorize {
		chap
		mschap
		files
		pap
	}
	authenticate {
		Auth-Type PAP {
			pap
		}
		Auth-Type CHAP {
			chap
		}
		Auth-Type MS-CHAP {
			mschap
		}
	}
	accounting {
		linelog
	}
	post-auth {
		update reply {
			&Message-Authenticator := 0x00
		}
		Post-Auth-Type REJECT {
			update reply {
				&Message-Authenticator := 0x00
			}
		}
	}
}
`;
}
