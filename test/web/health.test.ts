import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { requestReconcile } from '../../src/db/reconcile-requests.ts';
import { fillFigures } from '../../src/network/figures.ts';
import { createWeb, listen } from '../../src/web/server.ts';
import { projectRoot } from '../../scripts/servers/place.ts';
import { aLogin, aRouter } from '../support/builders.ts';
import { openTestWeb, type TestWeb } from '../support/web.ts';

describe('health and metrics', () => {
  let web: TestWeb;
  before(async () => {
    web = await openTestWeb('2026-05-01T10:00:30Z');
  });
  after(() => web.close());

  it('healthz, answers while the process lives, without a cookie', async () => {
    const answer = await web.visitor().get('/healthz');
    expect(answer.status).to.equal(200);
    expect(answer.headers.getSetCookie()).to.deep.equal([]);
  });

  it('readyz, with a schema that is not current, says so; and is ready with it', async () => {
    expect((await web.visitor().get('/readyz')).status).to.equal(200);
    const [row] = (await web.t.db('schema_migration').orderBy('name', 'desc').limit(1)) as { name: string }[];
    await web.t.db('schema_migration').where({ name: row?.name }).del();
    const answer = await web.visitor().get('/readyz');
    expect(answer.status).to.equal(503);
    expect(JSON.parse(answer.text)).to.deep.equal({ ok: false, reason: 'schema' });
    await web.t.db('schema_migration').insert({ name: row?.name, applied_at: '2026-01-01 00:00:00' });
  });

  it('metrics, in the format of Prometheus, tell what is at work and what the last full minute had', async () => {
    const { db } = web.t;
    await requestReconcile(db, [{ kind: 'login', key: '7' }], { priority: 'staff', requestedBy: 'test' });
    const router = await aRouter(db, { name: 'pop-secret-name' });
    const login = await aLogin(db, { username: 'somebody' });
    await db('access_decision').insert({
      login_id: login.id,
      access: 'throttled',
      reason: 'invoice_overdue',
      generation: 1,
      access_fingerprint: 'a',
      redial_fingerprint: 'b',
      coa_attributes: '[]',
      decided_at: '2026-05-01 09:00:00',
      requested_by: 'x',
    });
    await db('radpostauth').insert([
      { username: 'a', authdate: '2026-05-01 09:59:10', reason: 'wrong_password', slot: 'a', minute: 1 },
      { username: 'b', authdate: '2026-05-01 09:59:20', reason: 'typed by a stranger', slot: 'b', minute: 1 },
      { username: 'c', authdate: '2026-05-01 10:00:10', reason: 'wrong_password', slot: 'c', minute: 2 },
    ]);
    await db('enforcement').insert({
      radacctid: 1,
      login_id: login.id,
      router_id: router.id,
      action: 'coa',
      why: 'paid_up',
      generation: 1,
      access_fingerprint: 'a',
      redial_fingerprint: 'b',
      attributes: '[]',
      requested_by: 'x',
      requested_at: '2026-05-01 09:59:30',
      sent_at: '2026-05-01 09:59:30',
      outcome: 'ack',
    });
    await db('invoice_run').insert({
      as_of: '2026-05-01',
      requested_by: 'x',
      started_at: '2026-05-01 09:59:00',
      due_count: 40,
      done_count: 12,
    });
    await fillFigures(web.app.context('schedule'));
    const { status, text, headers } = await web.visitor().get('/metrics');
    expect(status).to.equal(200);
    expect(headers.get('content-type')).to.include('text/plain');
    for (const line of [
      'sluice_queue_rows{kind="login",state="waiting"} 1',
      'sluice_queue_oldest_due_seconds{kind="login"}',
      'sluice_routers{state="unasked"} 1',
      'sluice_routers_waiting 1',
      'sluice_processes{role="worker"} 0',
      'sluice_logins{access="throttled"} 1',
      'sluice_sessions_open 0',
      'sluice_logins_refused{reason="wrong_password"} 1',
      'sluice_logins_refused{reason="other"} 1',
      'sluice_packets{action="coa",outcome="ack"} 1',
      'sluice_invoice_run_subscriptions{state="done"} 12',
      'sluice_build_info{version="',
      'process_cpu_seconds_total',
    ])
      expect(text).to.include(line);
    expect(text).to.not.match(/password=|secret|abababab|somebody|stranger/);
  });

  it('from elsewhere, nothing is answered without the token, and a proxy of this host is elsewhere', async () => {
    const token = 'a-token-of-the-monitoring';
    const app = {
      ...web.app,
      config: { ...web.app.config, web: { ...web.app.config.web, metricsToken: token } },
    };
    const server = await listen(createWeb(app, projectRoot, []), '127.0.0.1', 0);
    try {
      const ask = (path: string, headers: Record<string, string>) =>
        fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, { headers });
      const elsewhere = { 'x-forwarded-for': '203.0.113.9' };
      for (const path of ['/healthz', '/readyz', '/metrics']) {
        expect((await ask(path, {})).status, path).to.equal(200);
        expect((await ask(path, elsewhere)).status, path).to.equal(403);
        expect((await ask(path, { ...elsewhere, authorization: 'Bearer another' })).status, path).to.equal(
          403,
        );
        expect((await ask(path, { ...elsewhere, authorization: `Bearer ${token}x` })).status, path).to.equal(
          403,
        );
        expect((await ask(path, { ...elsewhere, authorization: `Bearer ${token}` })).status, path).to.equal(
          200,
        );
      }
    } finally {
      await closed(server);
    }
  });

  it('from elsewhere, where no token is set, nothing is answered at all', async () => {
    for (const authorization of ['Bearer undefined', 'Bearer ', 'Bearer x'])
      expect(
        (await web.visitor().get('/metrics', { 'x-forwarded-for': '203.0.113.9', authorization })).status,
      ).to.equal(403);
  });
});

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
