import { expect } from 'chai';
import { requestReconcile } from '../../src/db/reconcile-requests.ts';
import { openTestWeb, type TestWeb } from '../support/web.ts';

describe('health and metrics', () => {
  let web: TestWeb;
  before(async () => {
    web = await openTestWeb();
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

  it('metrics, in the format of Prometheus, tell the queue, routers and processes, and no secret', async () => {
    await requestReconcile(web.t.db, [{ kind: 'login', key: '7' }], {
      priority: 'staff',
      requestedBy: 'test',
    });
    const { status, text, headers } = await web.visitor().get('/metrics');
    expect(status).to.equal(200);
    expect(headers.get('content-type')).to.include('text/plain');
    expect(text).to.include('sluice_queue_rows{kind="login",state="waiting"} 1');
    expect(text).to.include('sluice_routers{state="answering"} 0');
    expect(text).to.include('sluice_processes{role="worker"} 0');
    expect(text).to.include('process_cpu_seconds_total');
    expect(text).to.not.match(/password|secret|abababab/);
  });
});
