import { createSocket } from 'node:dgram';
import { freePort } from '../servers/child.ts';

/** 3799 where no other lab has it on any of these addresses, else a free port. */
export async function findRouterPort(addresses: readonly string[]): Promise<number> {
  for (const address of addresses) if (!(await canBind(address, 3799))) return freePort();
  return 3799;
}

function canBind(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind(port, address, () => socket.close(() => resolve(true)));
  });
}
