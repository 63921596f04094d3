import { createConnection } from 'node:net';

/** Whether something takes connections on this port of loopback. */
export function takesConnections(port: number, timeoutMs = 500): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    const finish = (isUp: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isUp);
    };
    const timer = setTimeout(() => finish(false), timeoutMs);
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
