import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect } from 'chai';
import { projectRoot } from '../scripts/servers/place.ts';

/** The house's rules as assertions: a rule that matters fails the build when it is broken. */
describe('tidy', () => {
  const source = filesBelow('src', /\.ts$/);
  const sql = filesBelow('sql', /\.sql$/);

  it('imports lean one way, without circles', function () {
    this.timeout(60_000);
    const cruiser = join(projectRoot, 'node_modules/.bin/depcruise');
    execFileSync(cruiser, ['--config', '.dependency-cruiser.cjs', 'src'], {
      cwd: projectRoot,
      stdio: 'pipe',
    });
  });

  it('the time comes from the clock', () => {
    expect(hits(source, /\bnew Date\(\)|\bDate\.now\(/, ['src/clock.ts'])).to.deep.equal([]);
  });

  it('our SQL asks the database for the time in one file only', () => {
    const now =
      /(?<![.\w])now\(|\b(CURDATE|CURTIME|SYSDATE|UTC_TIMESTAMP|UTC_DATE)\(|\bUNIX_TIMESTAMP\(\)|\bCURRENT_(TIMESTAMP|DATE|TIME)\b/i;
    expect(hits([...source, ...sql], now, ['src/db/leases.ts', 'src/clock.ts'])).to.deep.equal([]);
  });

  it("FreeRADIUS's tables are written by one file, and stale sessions are closed by one more", () => {
    const writers = ['src/db/radius-rows.ts', 'src/db/stale-sessions.ts'];
    const inText =
      /\b(INSERT(\s+IGNORE)?\s+INTO|REPLACE\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE(\s+TABLE)?)\s+`?rad[a-z]+/i;
    const inKnex =
      /\(\s*'rad[a-z]+( as \w+)?'\s*\)[^;]*\.(insert|update|del|delete|increment|truncate|merge)\(/;
    expect(hits(source, inText, writers)).to.deep.equal([]);
    expect(wholeFileHits(source, inKnex, writers)).to.deep.equal([]);
  });

  it('SQL lives in db/', () => {
    const outside = source.filter((file) => !file.startsWith('src/db/'));
    expect(hits(outside, /\b(trx|db)(<[^>]*>)?\(\s*['"`]|\b(trx|db|knex)\.raw\(/, [])).to.deep.equal([]);
  });

  it('domain/ knows no database, process, log or network', () => {
    const domain = source.filter((file) => file.startsWith('src/domain/'));
    expect(
      hits(
        domain,
        /\bprocess\.(env|exit|argv|cwd|pid|std|on|kill|hr)|from '(knex|mysql2|winston|node:(fs|net|dgram|http|child_process))/,
        [],
      ),
    ).to.deep.equal([]);
  });

  it('months are counted from the anchor and money is never a float', () => {
    expect(hits(source, /\bsetMonth\(|\bparseFloat\(/, [])).to.deep.equal([]);
    const money = source.filter((file) => /^src\/(billing|domain)\//.test(file));
    expect(hits(money, /\.toFixed\(/, [])).to.deep.equal([]);
  });

  it('a role loads its own parts only', () => {
    const early = /^import (?!type ).*'\.\/(web|jobs|reconcile)\//;
    expect(hits(['src/main.ts', 'src/roles.ts', 'src/app.ts'], early, [])).to.deep.equal([]);
  });

  it('nothing in src writes to the console but the command line', () => {
    expect(
      hits(
        source.filter((file) => !file.startsWith('src/cli/')),
        /\bconsole\./,
        [],
      ),
    ).to.deep.equal([]);
  });

  it('the lab shares no code with Sluice', () => {
    expect(hits(filesBelow('scripts/lab', /\.ts$/), /from '[^']*\/src\//, [])).to.deep.equal([]);
  });

  it('templates escape everything', () => {
    expect(hits(filesBelow('templates', /\.hbs$/), /\{\{\{|\{\{&/, [])).to.deep.equal([]);
  });

  it('what a router wrote is hex in %{sql:}, where FreeRADIUS does not escape it whole', () => {
    const files = filesBelow('freeradius', /./);
    const uses = files.flatMap((file) => linesOf(file).filter((line) => /^[^#]*%\{sql:/.test(line)));
    expect(uses).to.have.length.above(0);
    const queries = files.map((file) => linesOf(file).join('\n').replaceAll('\\\n', ' ')).join('\n');
    for (const use of uses) {
      const [, name = 'none'] = /%\{sql:\$\{modules\.sql\.(\w+)\}\}/.exec(use) ?? [];
      const [query = ''] = queries.match(new RegExp(`^\\s*${name} = .*$`, 'm')) ?? [];
      expect(query, use).to.include(`x'%{hex:`);
      expect(query, use).to.not.match(/(?<!x)'%\{|'%\{(?!hex:)/);
    }
  });

  it('migrations can be run again', () => {
    const plain = /^\s*(CREATE (TABLE|INDEX|UNIQUE INDEX|VIEW)) (?!IF NOT EXISTS)|^\s*DROP (?!\w+ IF EXISTS)/;
    expect(hits(sql, plain, [])).to.deep.equal([]);
    const numbers = sql.map((file) => `${file.split('/')[1] ?? ''}/${file.split('/')[2]?.slice(0, 4) ?? ''}`);
    expect(new Set(numbers).size).to.equal(numbers.length);
  });

  it('a source file is about one thing: at most 400 lines', () => {
    const long = [...source, ...filesBelow('scripts', /\.ts$/)].filter((file) => linesOf(file).length > 400);
    expect(long).to.deep.equal([]);
  });

  it('nothing is left unfinished', () => {
    const all = [...source, ...filesBelow('scripts', /\.ts$/), ...filesBelow('test', /\.ts$/)];
    expect(
      hits(all, /\b(TODO|FIXME|XXX)\b|\b(it|describe)\.(only|skip)\(/, ['test/tidy.test.ts']),
    ).to.deep.equal([]);
  });

  it('every Bash script stops at the first failure', () => {
    const scripts = [
      'scripts/start',
      'scripts/stop',
      'scripts/test',
      'scripts/check',
      'scripts/setup',
      'scripts/sluice',
      'scripts/galera',
    ];
    for (const script of [...scripts, '.ci/run']) {
      expect(readFileSync(join(projectRoot, script), 'utf8'), script).to.include('set -euo pipefail');
    }
  });
});

function filesBelow(folder: string, pattern: RegExp): string[] {
  if (!existsSync(join(projectRoot, folder))) return [];
  return readdirSync(join(projectRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)))
    .sort();
}

function linesOf(file: string): string[] {
  return readFileSync(join(projectRoot, file), 'utf8').split('\n');
}

/** Lines that match, comments left out, as file:line: text. */
function hits(files: readonly string[], pattern: RegExp, allowed: readonly string[]): string[] {
  return files
    .filter((file) => !allowed.includes(file))
    .flatMap((file) =>
      linesOf(file).flatMap((line, index) =>
        pattern.test(line) && !/^\s*(\/\/|\*|\/\*|--)/.test(line)
          ? [`${file}:${index + 1}: ${line.trim()}`]
          : [],
      ),
    );
}

function wholeFileHits(files: readonly string[], pattern: RegExp, allowed: readonly string[]): string[] {
  return files.filter((file) => !allowed.includes(file) && pattern.test(linesOf(file).join('\n')));
}
