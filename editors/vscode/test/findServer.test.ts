/** Whose program runs: the user's, never the workspace's. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { findServer } from '../src/findServer';

const top = realpathSync(mkdtempSync(path.join(tmpdir(), 'seedling-find-')));
const NAME = process.platform === 'win32' ? 'seedling.exe' : 'seedling';

function program(...folder: string[]): string {
  const file = path.join(top, ...folder, NAME);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '');
  chmodSync(file, 0o755);
  return file;
}
const mine = program('bin');
const workspace = path.join(top, 'project');
const theirs = program('project', '.venv', 'bin');
const search = [path.dirname(theirs), '.', path.dirname(mine)].join(path.delimiter);

test('a program of the workspace is passed over', () => {
  assert.deepEqual(findServer([], search, [workspace]), { program: mine, args: ['serve'], source: 'PATH' });
  assert.equal(findServer([], search, [])?.program, theirs);
});
test('also where a link leads into it', () => {
  const links = path.join(top, 'links');
  mkdirSync(links);
  symlinkSync(theirs, path.join(links, NAME));
  assert.equal(findServer([], links, [workspace]), undefined);
});
test('the setting wins', () => assert.equal(findServer([mine, 'serve', '--x'], '', [])?.source, 'setting'));
test('a setting that is no full path is refused', () => {
  assert.throws(() => findServer(['seedling'], search, []), /not the full path/);
});
