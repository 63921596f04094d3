import { expect } from 'chai';
import { importColumns } from '../../src/domain/import-file.ts';
import { resumeImports } from '../../src/subscribers/import.ts';
import { backgroundEnds } from '../../src/web/background.ts';
import { smallCatalogue } from '../support/catalog.ts';
import { openTestWeb, staffPassword, type TestWeb, type Visitor } from '../support/web.ts';

describe('importing subscribers', function () {
  this.timeout(120_000);
  let web: TestWeb;
  let noc: Visitor;

  before(async () => {
    web = await openTestWeb();
    await smallCatalogue(web.app.context('test'));
    noc = await web.as('noc');
  });
  after(() => web.close());

  const header = 'name,username,package,billing_profile,mac_lock,static_ipv4,phone,price,password';

  /** Sends a file as a browser's form does, the token first. */
  async function upload(bytes: string | Uint8Array<ArrayBuffer>, name = 'people.csv') {
    const page = await noc.get('/subscribers/import');
    const form = new FormData();
    form.set('_csrf', /name="_csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '');
    form.set('file', new Blob([bytes], { type: 'text/csv' }), name);
    const response = await fetch(`${web.url}/subscribers/import`, {
      method: 'POST',
      body: form,
      redirect: 'manual',
      headers: { cookie: [...noc.cookies].map(([key, value]) => `${key}=${value}`).join('; ') },
    });
    return {
      status: response.status,
      text: await response.text(),
      location: response.headers.get('location') ?? '',
    };
  }
  const jobOf = (path: string) =>
    web.t
      .db('import_job')
      .where({ id: path.split('/')[2] })
      .first<Record<string, unknown>>();
  const start = async (path: string) => {
    await noc.get(path);
    await noc.post(`${path}/start`);
    await backgroundEnds(web.app);
  };
  const count = async (table: string) => Number((await web.t.db(table).count({ n: '*' }))[0]?.['n']);

  it('five thousand rows, are looked over, then added once each', async () => {
    const rows = Array.from({ length: 5000 }, (_, n) => `Person ${n},m${n},Home 50,block,,,,,`);
    const { location } = await upload([header, ...rows].join('\n'));
    expect(location).to.match(/^\/imports\/\d+$/);
    expect((await noc.get(location)).text)
      .to.include('5,000 good')
      .and.include('Import 5,000 good rows');
    expect(await count('subscriber')).to.equal(0);
    await start(location);
    expect(await jobOf(location)).to.include({ state: 'done', imported_count: 5000, failed_count: 0 });
    expect(await count('subscriber')).to.equal(5000);
    expect(await count('login')).to.equal(5000);
    const again = await upload([header, ...rows].join('\n'));
    expect((await noc.get(again.location)).text)
      .to.include('0 good')
      .and.include('5,000 with faults');
  });

  const bad: [string, string, string, string][] = [
    ['a MAC address that is none', 'A,x1,Home 50,block,zz:zz,,,,', 'mac_lock', 'zz:zz'],
    ['a package that is not there', 'A,x2,Nope,block,,,,,', 'package', 'must be one of'],
    ['a daily package', 'A,x3,Daily,block,,,,,', 'package', 'must be a monthly package'],
    ['a static package without an address', 'A,x4,Static,block,,,,,', 'static_ipv4', 'is missing'],
    ['a billing profile that is not there', 'A,x5,Home 50,nope,,,,,', 'billing_profile', 'must be one of'],
    ['a username that was given before', 'A,M7,Home 50,block,,,,,', 'username', 'never given twice'],
    ['no name', ',x6,Home 50,block,,,,,', 'name', '1 to 120'],
    [
      'a name that a spreadsheet would run',
      '"=HYPERLINK(""http://x"")",x7,Home 50,block,,,,,',
      'name',
      'formula',
    ],
    ['a username of 65 characters', `A,${'y'.repeat(65)},Home 50,block,,,,,`, 'username', '1 to 64'],
    ['a price that is none', 'A,x8,Home 50,block,,,,ten,', 'price', 'ten'],
    ['a phone that is none', 'A,x9,Home 50,block,,,call me,,', 'phone', 'call me'],
    ['too many cells', 'A,x10,Home 50,block,,,,,,5,6', 'password', 'too many'],
    ['too few cells', 'A,x11', 'package', 'package'],
    ['a quotation mark out of place', 'A "quoted,x12,Home 50,block,,,,,', 'name', 'quotation mark'],
  ];
  for (const [what, row, column, text] of bad) {
    it(`a row with ${what}, is named with its column and rule, and its neighbours are good`, async () => {
      const neighbour = what.replaceAll(/[^a-z0-9]/gi, '').toLowerCase();
      const { location } = await upload([header, row, `B,${neighbour},Home 50,block,,,,,`].join('\n'));
      const page = await noc.get(location);
      expect(page.text).to.include(`<code>${column}</code>`).and.include(text);
      expect(await jobOf(location)).to.include({ good_count: 1, bad_count: 1 });
    });
  }

  it('a username or an address that is twice in the file, names the line of the first', async () => {
    const { location } = await upload(
      [header, 'A,twin,Home 50,block,,203.0.113.7,,,', 'B,TWIN,Home 50,block,,203.0.113.7,,,'].join('\n'),
    );
    const { text } = await noc.get(location);
    expect(text).to.include('is in line 2 of this file already');
    expect(await jobOf(location)).to.include({ good_count: 1, bad_count: 1 });
  });

  it('bytes that are not UTF-8, are a fault of that row alone', async () => {
    const bytes = new Uint8Array(
      Buffer.from(`${header}\nJos\xe9,l1,Home 50,block,,,,,\nAna,l2,Home 50,block,,,,,\n`, 'latin1'),
    );
    const { location } = await upload(bytes);
    expect((await noc.get(location)).text).to.include('not UTF-8');
    expect(await jobOf(location)).to.include({ good_count: 1, bad_count: 1 });
  });

  const refused: [string, string | Uint8Array<ArrayBuffer>, string][] = [
    ['without a column that is needed', 'name,username\nA,b', 'Column package is missing'],
    ['with a column that nobody knows', `${header},shoe_size\n`, 'Column shoe_size is not known'],
    ['that is empty', '', 'choose a CSV file'],
    ['with the first line alone', header, 'no line below'],
    ['that is UTF-16', new Uint8Array(Buffer.from(`\ufeff${header}\nA,b`, 'utf16le')), 'UTF-16'],
    ['that is a spreadsheet', new Uint8Array([0x50, 0x4b, 3, 4, 0, 0, 0]), 'not a text file'],
    ['of nine megabytes', 'x'.repeat(9 * 1024 * 1024), 'at most 8 MB'],
  ];
  for (const [what, bytes, text] of refused) {
    it(`a file ${what}, is refused and says why`, async () => {
      const answer = await upload(bytes);
      expect(answer.status).to.equal(400);
      expect(answer.text).to.include(text);
    });
  }

  it('semicolons, a byte order mark, a 64-character name, apostrophes before signs, are all read', async () => {
    const name = 'N'.repeat(64);
    const { location } = await upload(
      `\ufeffName;Username;Package;Billing profile;Phone\r\n${name};semi;Home 50;block;'+213 551 234 567\r\n`,
    );
    await start(location);
    const row = await web.t.db('subscriber').where({ name }).first<{ phone: string }>();
    expect(row.phone).to.equal('+213 551 234 567');
  });

  it('the rows with faults, come back as a file that can be mended and sent again', async () => {
    const { location } = await upload([header, 'Mend Me,mend,Home 50,block,zz,,,,hush'].join('\n'));
    const csv = (await noc.get(`${location}/bad.csv`)).text;
    expect(csv).to.include('mac_lock: must be a MAC address').and.include('hush');
    const again = await upload(csv.replace(',zz,', ',AA:BB:CC:DD:EE:FF,'));
    expect(await jobOf(again.location)).to.include({ good_count: 1, bad_count: 0 });
  });

  it('a password, is on no page; one that was made can be had for a day and is then forgotten', async () => {
    const { location } = await upload(
      [header, 'Pass,pass1,Home 50,block,,,,,hush-hush', 'Made,pass2,Home 50,block,,,,,'].join('\n'),
    );
    expect((await noc.get(`${location}?rows=good`)).text)
      .to.include('pass1')
      .and.not.include('hush-hush');
    await start(location);
    const csv = await noc.get(`${location}/passwords.csv`);
    expect(csv.text)
      .to.match(/pass2,[a-z0-9]{12}/)
      .and.not.include('hush-hush');
    web.clock.set('2026-05-03T10:00:00Z');
    // Twenty files a minute; the tests before made more.
    for (let minute = 0; minute < 4; minute++) await resumeImports(web.app.context('schedule'));
    const visitor = noc;
    await visitor.get('/sign-in');
    await visitor.post('/sign-in', { username: 'the-noc', password: staffPassword });
    expect((await visitor.get(`${location}/passwords.csv`)).text).to.not.include('pass2');
    const rows = await web.t.db('import_row').where('typed', '<>', '').count({ n: '*' });
    expect(Number(rows[0]?.['n'])).to.equal(0);
  });

  it('killed half-way, goes on and adds nobody twice', async () => {
    const { db } = web.t;
    const { location } = await upload(
      [header, ...['k1', 'k2', 'k3'].map((name) => `${name},${name},Home 50,block,,,,,`)].join('\n'),
    );
    const id = location.split('/')[2];
    const before = await count('subscriber');
    await start(location);
    // As a process leaves it that died after the first row's COMMIT and before it wrote that down.
    await db('import_row').where({ job_id: id, line_no: 2 }).update({ state: 'good', subscriber_id: null });
    await db('import_job')
      .where({ id })
      .update({ state: 'working', done_count: 2, imported_count: 2, locked_until: '2020-01-01 00:00:00' });
    expect(await resumeImports(web.app.context('schedule'))).to.deep.equal([id]);
    expect(await jobOf(location)).to.include({ state: 'done', imported_count: 3, failed_count: 0 });
    expect(await count('subscriber')).to.equal(before + 3);
  });

  it('a username that was taken since the review, fails that row alone', async () => {
    const file = [header, 'A,late1,Home 50,block,,,,,', 'B,late2,Home 50,block,,,,,'].join('\n');
    const first = await upload(file);
    const second = await upload([header, 'C,late1,Home 50,block,,,,,'].join('\n'));
    await start(second.location);
    await start(first.location);
    expect(await jobOf(first.location)).to.include({ imported_count: 1, failed_count: 1 });
    expect((await noc.get(first.location)).text).to.include('never given twice');
  });

  it('the file to begin with, has every column and can be sent as it is', async () => {
    const { text } = await noc.get('/subscribers/import/template.csv');
    for (const { column } of importColumns) expect(text).to.include(column);
    const { location } = await upload(text);
    expect(await jobOf(location)).to.include({ good_count: 1, bad_count: 0 });
    await noc.get(location);
    await noc.post(`${location}/cancel`);
    expect((await jobOf(location))['state']).to.equal('cancelled');
  });

  it('a form that ends in the middle of its file, or names no boundary, is refused and the server lives', async () => {
    const page = await noc.get('/subscribers/import');
    const csrf = /name="_csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const head = `--x\r\nContent-Disposition: form-data; name="_csrf"\r\n\r\n${csrf}\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n`;
    const send = (type: string, body: string) =>
      fetch(`${web.url}/subscribers/import`, {
        method: 'POST',
        body,
        redirect: 'manual',
        headers: { 'content-type': type, cookie: [...noc.cookies].map((pair) => pair.join('=')).join('; ') },
      });
    for (const [type, body] of [
      ['multipart/form-data; boundary=x', `${head}name,username`],
      ['multipart/form-data; boundary=x', head],
      ['multipart/form-data; boundary=x', '--x\r\nContent-Dispo'],
      ['multipart/form-data; boundary=y', `${head}name,username\r\n--x--\r\n`],
      ['multipart/form-data', `${head}name,username\r\n--x--\r\n`],
    ] as const) {
      const answer = await send(type, body);
      expect(answer.status, `${type} ${body.slice(-20)}`).to.equal(400);
      expect(await answer.text()).to.include('did not arrive whole');
    }
    expect((await noc.get('/subscribers/import')).status).to.equal(200);
  });

  it('a password that begins like a formula, or with apostrophes before one, comes back from the file of bad rows as it was', async () => {
    const columns = 'name,username,package,billing_profile,password';
    const meant = ['=2+2', '-x', "'=1", "''+1", "'plain"];
    const lines = meant.map((password, index) => `Formula,formula${index},Nope,block,${password}`);
    const { location } = await upload([columns, ...lines].join('\n'));
    const bad = (await noc.get(`${location}/bad.csv`)).text;
    expect(bad).to.include("'=2+2");
    const mended = await upload(bad.replaceAll('Nope', 'Home 50'));
    await start(mended.location);
    expect(await jobOf(mended.location)).to.include({ imported_count: 5, bad_count: 0 });
    const rows = await web.t.db('login').where('username', 'like', 'formula%').orderBy('username');
    const passwords = (rows as { id: string; secret: Buffer }[]).map((row) =>
      web.app.vault.open(`login.secret:${row.id}`, row.secret),
    );
    expect(passwords).to.deep.equal(meant);
  });

  it('a row with a quotation mark out of place, takes no row behind it along', async () => {
    const columns = 'name,username,package,billing_profile,password';
    const good = ['quote1', 'quote2', 'quote3'].map((name) => `"${name}",${name},Home 50,block,`);
    const { location } = await upload(
      [columns, '"A"b,quote4,Home 50,block,canary-pw', ...good, 'C,"x"y,Home 50,block,'].join('\n'),
    );
    expect(await jobOf(location)).to.include({ good_count: 3, bad_count: 2 });
    const page = (await noc.get(location)).text;
    expect(page).to.include('has a quotation mark out of place').and.not.include('canary-pw');
  });

  const shifted = [
    ['a line break out of quotation marks', 'A,broken1,Home 50,bl\nock,canary-pw,,', 'has fewer cells'],
    [
      'a quotation mark that another row closes',
      'A,"broken2,Home 50,block,canary-pw,,\nB,broken3",Home 50,block,,,',
      'line break in a cell',
    ],
  ] as const;
  for (const [what, lines, rule] of shifted) {
    it(`a row broken by ${what}, shows no cell: one is the password`, async () => {
      const columns = 'name,username,package,billing_profile,password,phone,email';
      const { location } = await upload(`${columns}\n${lines}\n`);
      const page = (await noc.get(`${location}?rows=bad`)).text;
      expect(page).to.include(rule).and.not.include('canary-pw');
      expect((await noc.get(`${location}/bad.csv`)).text).to.include('canary-pw');
      const kept = await web.t.db('import_row').where({ job_id: location.split('/').at(-1) ?? '' });
      expect(kept.filter((row: { username: string | null }) => row.username !== null)).to.deep.equal([]);
    });
  }

  it('more rows than a file may have, broken ones counted, are refused', async () => {
    const { text } = await upload(`${header}\n${'"a"b\n'.repeat(50_001)}`);
    expect(text).to.include('has more than 50000 rows');
  });

  it('a place in its list that is none, is the beginning', async () => {
    const { location } = await upload([header, 'A,place1,Nope,block,,,,,'].join('\n'));
    for (const after of ['1e999', 'Infinity', '-1', 'x', '99999999999999999999']) {
      const page = await noc.get(`${location}?after=${after}`);
      expect(page.status, after).to.equal(200);
      expect(page.text, after).to.include('place1');
    }
  });

  it('a number that only a program would write, is refused', async () => {
    const columns = 'name,username,package,billing_profile,simultaneous_use';
    const { location } = await upload(`${columns}\nHex,hex1,Home 50,block,0x10\nExp,exp1,Home 50,block,1e1`);
    expect(await jobOf(location)).to.include({ good_count: 0, bad_count: 2 });
  });

  it('tens of thousands of columns, are refused at once', async () => {
    const many = Array.from({ length: 15_000 }, (_, n) => `c${n}`).join(',');
    const { text } = await upload(`${many}\nx\n`);
    expect(text).to.include('Column name is missing').and.include('Column c0 is not known');
  });

  it('with a forged token, or by somebody who may not, is refused', async () => {
    const form = new FormData();
    form.set('_csrf', 'forged');
    form.set('file', new Blob(['x']), 'x.csv');
    const send = (visitor: Visitor) =>
      fetch(`${web.url}/subscribers/import`, {
        method: 'POST',
        body: form,
        redirect: 'manual',
        headers: { cookie: [...visitor.cookies].map(([key, value]) => `${key}=${value}`).join('; ') },
      });
    expect((await send(noc)).status).to.equal(403);
    expect((await send(await web.as('read_only'))).status).to.equal(403);
  });
});
