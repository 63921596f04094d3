import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ClientFolder, openClientFolder } from '../../src/adapters/freeradius/client-files.ts';
import { systemClock } from '../../src/clock.ts';

describe('the folder of client files', () => {
  let home: string;
  let path: string;
  let folder: ClientFolder;
  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'client-files-'));
    path = join(home, 'clients');
    mkdirSync(path);
    folder = await openClientFolder(`${path}/`);
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  it('a file is replaced whole, by another that was written beside the directory', async () => {
    await folder.put('10.0.0.1', 'one');
    const first = statSync(join(path, '10.0.0.1'));
    await folder.put('10.0.0.1', 'two');
    expect(statSync(join(path, '10.0.0.1')).ino).not.to.equal(first.ino);
    expect(readFileSync(join(path, '10.0.0.1'), 'utf8')).to.equal('two');
    expect(readdirSync(path)).to.deep.equal(['10.0.0.1']);
    expect(readdirSync(`${path}.new`)).to.deep.equal([]);
  });

  it('its time is that of its arrival: an earlier one FreeRADIUS might miss, a later one it would read again', async () => {
    for (const act of [() => folder.put('10.0.0.1', 'one'), () => folder.renew('10.0.0.1')]) {
      const before = Math.floor(systemClock.now().getTime() / 1000);
      await act();
      const after = systemClock.now().getTime();
      const { mtimeMs } = statSync(join(path, '10.0.0.1'));
      expect(Math.floor(mtimeMs / 1000)).to.be.at.least(before);
      expect(mtimeMs).to.be.at.most(after);
    }
  });

  it('gives what changed and what came, and forgets what went', async () => {
    await folder.put('10.0.0.1', 'one');
    await folder.put('10.0.0.2', 'two');
    const texts = () => folder.list().map((file) => [file.name, file.text]);
    expect(texts()).to.deep.equal([
      ['10.0.0.1', 'one'],
      ['10.0.0.2', 'two'],
    ]);
    await folder.remove('10.0.0.1');
    await folder.remove('10.0.0.1');
    writeFileSync(join(path, '10.0.0.2'), 'other');
    mkdirSync(join(path, 'folder'));
    expect(texts()).to.deep.equal([
      ['10.0.0.2', 'other'],
      ['folder', undefined],
    ]);
    expect(folder.list(['10.0.0.2', '10.0.0.9']).map((file) => file.name)).to.deep.equal(['10.0.0.2']);
  });

  it('quarantine keeps what it takes out, and leaves no moment without a file that is to be replaced', async () => {
    await folder.put('10.0.0.1', 'bad one');
    const kept = await folder.quarantine('10.0.0.1', { isReplaced: true });
    expect(readFileSync(kept, 'utf8')).to.equal('bad one');
    expect(readdirSync(path)).to.deep.equal(['10.0.0.1']);
    await folder.put('10.0.0.1', 'good one');
    expect(readFileSync(kept, 'utf8')).to.equal('bad one');
    await folder.quarantine('10.0.0.1', { isReplaced: false });
    expect(readdirSync(path)).to.deep.equal([]);
    expect(readdirSync(`${path}.bad`)).to.have.length(2);
  });

  it('leftovers of a process that is gone are removed, those of a living one stay', async () => {
    writeFileSync(join(`${path}.new`, '4999999-1-10.0.0.1'), 'x');
    writeFileSync(join(`${path}.new`, `${process.ppid}-1-10.0.0.1`), 'x');
    await openClientFolder(path);
    expect(readdirSync(`${path}.new`)).to.deep.equal([`${process.ppid}-1-10.0.0.1`]);
  });

  it('a name that leads elsewhere is refused', async () => {
    for (const name of ['../10.0.0.1', '', '..', 'a\0b']) {
      const error = await folder.put(name, 'x').then(
        () => undefined,
        (caught: unknown) => caught,
      );
      expect(error, name).to.be.instanceOf(RangeError);
    }
  });
});
