import { expect } from 'chai';
import { may, type StaffRole, staffRoles } from '../../src/domain/permissions.ts';
import type { Route } from '../../src/web/route.ts';
import { routes } from '../../src/web/routes.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

/** Every route, with every role, signed out, and with a forged CSRF token. A new route is in here by being in the list. */
describe('authorization', function () {
  this.timeout(120_000);
  let web: TestWeb;
  const people = new Map<StaffRole, Visitor>();
  const guarded = routes.filter((route) => route.access !== 'public');

  before(async () => {
    web = await openTestWeb();
    for (const role of staffRoles) people.set(role, await web.as(role));
  });
  after(() => web.close());

  const pathOf = (route: Route) => route.path.replaceAll(/:[A-Za-z]+/g, '1');
  const nameOf = (route: Route) => `${route.method} ${route.path}`;
  const isAllowed = (route: Route, role: StaffRole) =>
    route.access === 'signed_in' || (route.access !== 'public' && may(role, route.access));

  function send(visitor: Visitor, route: Route, csrf?: string | null) {
    const path = pathOf(route);
    if (route.method === 'get') return visitor.get(path);
    return visitor.post(path, {}, csrf === undefined ? {} : { csrf });
  }

  it('signed out, every guarded route leads to the sign-in page or is refused', async () => {
    const visitor = web.visitor();
    await visitor.get('/sign-in');
    for (const route of guarded) {
      const answer = await send(visitor, route);
      expect(answer.status, nameOf(route)).to.equal(route.method === 'get' ? 303 : 401);
      if (route.method === 'get') expect(answer.location, nameOf(route)).to.match(/^\/(sign-in|first-run)/);
    }
  });

  for (const role of staffRoles) {
    it(`${role}, is refused what the role may not do, and nothing else`, async () => {
      const visitor = people.get(role);
      if (visitor === undefined) throw new Error('nobody');
      for (const route of guarded) {
        // These end the visitor's own session or change its password; that they are allowed is tested with them.
        if (/^\/(sign-out|account)/.test(route.path) && route.method === 'post') continue;
        const answer = await send(visitor, route);
        if (isAllowed(route, role)) expect(answer.status, nameOf(route)).to.not.be.oneOf([401, 403, 500]);
        else expect(answer.status, nameOf(route)).to.equal(403);
      }
    });
  }

  it('every change with a forged or missing CSRF token is refused, for the owner too', async () => {
    const owner = people.get('owner');
    if (owner === undefined) throw new Error('nobody');
    for (const route of routes.filter((one) => one.method === 'post')) {
      for (const csrf of [null, 'forged']) {
        const answer = await send(owner, route, csrf);
        expect(answer.status, `${nameOf(route)} with ${csrf ?? 'no token'}`).to.equal(403);
      }
    }
  });

  it('no route is there twice', () => {
    const names = routes.map(nameOf);
    expect(new Set(names).size).to.equal(names.length);
  });
});
