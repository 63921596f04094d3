/** Where routers find RADIUS: what staff type there names it. */
export interface RadiusServer {
  readonly address: string;
  readonly authPort: number;
  readonly acctPort: number;
}

export interface RouterSide {
  readonly address: string;
  readonly secret: string;
  readonly coaPort: number;
}

/**
 * Lines for a RouterOS terminal that make a new router ask our RADIUS and obey our CoA. They hold the secret: they are
 * shown once to whoever asked, and kept nowhere. `timeout` and the CoA port are explicit, since defaults changed between
 * releases; `src-address` makes the packets come from the address that we know.
 */
export function linesForNewRouter(server: RadiusServer, router: RouterSide): string[] {
  return [
    `/radius add service=ppp,hotspot address=${server.address} secret=${quoted(router.secret)} ` +
      `authentication-port=${server.authPort} accounting-port=${server.acctPort} timeout=3s ` +
      `src-address=${router.address}`,
    `/radius incoming set accept=yes port=${router.coaPort}`,
    '/ppp aaa set use-radius=yes accounting=yes interim-update=5m',
  ];
}

/** The line that gives a router that we have its new secret. */
export function linesForNewSecret(server: RadiusServer, router: Pick<RouterSide, 'secret'>): string[] {
  return [`/radius set [find address=${server.address}] secret=${quoted(router.secret)}`];
}

/** RouterOS scripting strings: a backslash before its own kind, the quote, `$` (a variable) and `?` (help). */
function quoted(text: string): string {
  return `"${text.replaceAll(/[\\"$?]/g, '\\$&')}"`;
}
