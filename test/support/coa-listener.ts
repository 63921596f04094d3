import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startChild, until } from '../../scripts/servers/child.ts';
import { dataRoot, findProgram, makeFolder, serverAccount } from '../../scripts/servers/place.ts';

export interface CoaListener {
  address: string;
  port: number;
  /** One line a request: kind, user, session id, address, rate. */
  log(): string[];
  stop(): Promise<void>;
}

/**
 * FreeRADIUS as a NAS: its own coa listener, which wants Message-Authenticator. It acknowledges; it refuses the user
 * `gone` with 503 and `odd` with 401.
 */
export async function startCoaListener(address: string, secret: string): Promise<CoaListener> {
  const account = serverAccount('freerad');
  const root = makeFolder(join(dataRoot(), `test-${process.pid}`), undefined);
  const folder = makeFolder(mkdtempSync(join(root, 'coa-')), account);
  chmodSync(folder, 0o755);
  const port = await freePort();
  writeFileSync(join(folder, 'radiusd.conf'), configuration(folder, address, port, secret));
  const program = findProgram('freeradius');
  if (program === undefined) throw new Error('freeradius is not installed: apt-get install freeradius');
  const logFile = join(folder, 'out.log');
  const child = startChild(program, ['-f', '-l', 'stdout', '-d', folder, '-n', 'radiusd'], {
    account,
    logFile,
  });
  await until('the CoA listener', () => readFileSync(logFile, 'utf8').includes('Ready to process'), {
    timeoutMs: 20_000,
    child,
  });
  return {
    address,
    port,
    log: () => {
      try {
        return readFileSync(join(folder, 'requests.log'), 'utf8').trimEnd().split('\n');
      } catch {
        return [];
      }
    },
    async stop() {
      await child.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configuration(folder: string, address: string, port: number, secret: string): string {
  const family = address.includes(':') ? 'ipv6addr' : 'ipaddr';
  const client = address.includes(':') ? '::1' : '127.0.0.0/8';
  return `
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = ${folder}
confdir = ${folder}
logdir = ${folder}
run_dir = ${folder}
name = radiusd
max_requests = 16384
security {
	reject_delay = 0
	status_server = no
}
thread pool {
	start_servers = 1
	max_servers = 2
	min_spare_servers = 1
	max_spare_servers = 1
	max_requests_per_server = 0
}
client sluice {
	${family} = ${client}
	secret = ${secret}
	require_message_authenticator = yes
}
modules {
	always ok {
		rcode = ok
	}
	always reject {
		rcode = reject
	}
	linelog {
		filename = ${folder}/requests.log
		format = "%{Packet-Type} %{User-Name} %{Acct-Session-Id} %{Framed-IP-Address} %{Mikrotik-Rate-Limit}"
	}
}
server coa {
	listen {
		type = coa
		${family} = ${address}
		port = ${port}
	}
	recv-coa {
		linelog
		if (&User-Name == "gone") {
			update reply {
				&Error-Cause := Session-Context-Not-Found
			}
			reject
		}
		if (&User-Name == "odd") {
			update reply {
				&Error-Cause := Unsupported-Attribute
			}
			reject
		}
		ok
	}
	send-coa {
		ok
	}
}
`;
}
