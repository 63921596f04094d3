import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectRoot } from '../../scripts/servers/place.ts';
import { labelsIn } from '../../src/web/view.ts';
import { openTestWeb, type TestWeb } from '../support/web.ts';

describe('labelsIn', () => {
  it('of a label and of the partials that make one, gives what stands beside the field', () => {
    const labels = labelsIn(`
      <label class="form-label" for="field-amount">Amount, {{currency}}</label>
      {{> field name="coaPort" label="CoA port" value=values.coaPort rule="1 to 65535."}}
      {{> select name='role' label='Role' options=roles}}`);
    expect([...labels]).to.deep.equal([
      ['amount', 'Amount'],
      ['coaPort', 'CoA port'],
      ['role', 'Role'],
    ]);
  });

  it('of every template, knows each field that it writes out', () => {
    const files = readdirSync(join(projectRoot, 'templates'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.hbs'))
      .map((entry) => join(entry.parentPath, entry.name));
    const nameless = files.flatMap((file) => {
      const source = readFileSync(file, 'utf8');
      const labels = labelsIn(source);
      return [...source.matchAll(/<(?:input|select|textarea)[^>]*id="field-(\w+)"/g)]
        .map(([, name = '']) => name)
        .filter((name) => !labels.has(name) && !source.includes('{{label}}'))
        .map((name) => `${file} ${name}`);
    });
    expect(files.length).to.be.greaterThan(80);
    expect(nameless).to.deep.equal([]);
  });
});

describe('a form with faults', () => {
  let web: TestWeb;

  before(async () => {
    web = await openTestWeb();
  });
  after(() => web.close());

  it('names each field at the top as its label does, and leads to it', async () => {
    const noc = await web.as('noc');
    await noc.get('/routers/new');
    const answer = await noc.post('/routers/new', {
      name: '',
      address: 'nowhere',
      secret: 'abc',
      coaPort: '0',
      rateChange: 'coa',
      pacePerSecond: '50',
    });
    expect(answer.status).to.equal(400);
    for (const [field, label] of [
      ['name', 'Name'],
      ['address', 'Address'],
      ['coaPort', 'CoA port'],
    ] as const) {
      expect(answer.text)
        .to.include(`<a href="#field-${field}">${label}</a>`)
        .and.include(`id="field-${field}"`);
    }
    expect(answer.text).to.include('value="nowhere"');
  });

  it('one of many fields alike, is named without its number', async () => {
    await web.t.db('reconcile_queue').insert({
      kind: 'login',
      key: '1',
      version: 1,
      is_parked: true,
      attempts: 12,
      last_error: 'timeout',
      not_before: '2026-05-01 00:00:00',
      requested_by: 'test',
      requested_at: '2026-05-01 00:00:00',
    });
    const [id = ''] = await web.t.db('reconcile_queue').pluck<string[]>('id');
    const noc = await web.as('noc');
    await noc.get('/attention');
    const answer = await noc.post(`/attention/keys/${id}/give-up`, { note: '' });
    expect(answer.text).to.include(`<a href="#field-note-k${id}">Note</a>`);
  });
});
