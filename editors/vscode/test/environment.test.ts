/**
 * The environment that the extension owns, with a real Python and pip, and a wheel that is made here: made, found again,
 * rebuilt when broken, renewed for another bundle, nothing left of one that was cancelled or failed. No network.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { before, test } from 'node:test';
import { Cancelled } from '../src/childProcess';
import { type Bundle, OwnedEnvironment, readBundle, type Work } from '../src/environment';
import { findPython } from '../src/python';

const MAKE_WHEEL = `
import sys, zipfile
folder, code = sys.argv[1:]
info = "seedling_lsp-0.0.1.dist-info"
with zipfile.ZipFile(f"{folder}/seedling_lsp-0.0.1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("seedling_stand_in.py", code)
    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: seedling-lsp\\nVersion: 0.0.1\\nProvides-Extra: engine\\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\nseedling = seedling_stand_in:main\\n")
    wheel.writestr(f"{info}/RECORD", "")
`;

const top = mkdtempSync(path.join(tmpdir(), 'seedling-environment-'));
const storage = path.join(top, 'storage');
const workspace = path.join(top, 'workspace');
const search = { environment: process.env, folder: top, workspaceFolders: [workspace] };
let python: string;

function bundle(digest: string, code = 'def main():\n    print("stand-in 0.0.1")\n'): Bundle {
  const extension = path.join(top, `extension-${digest}`);
  const folder = path.join(extension, 'server');
  mkdirSync(path.join(folder, 'wheels'), { recursive: true });
  execFileSync(python, ['-c', MAKE_WHEEL, folder, code]);
  writeFileSync(path.join(folder, 'constraints.txt'), 'seedling-lsp==0.0.1\n');
  const wheel = 'seedling_lsp-0.0.1-py3-none-any.whl';
  // No index is asked.
  const offline = { python: '3.x', platform: process.platform };
  writeFileSync(path.join(folder, 'bundle.json'), JSON.stringify({ digest, version: '0.0.1', wheel, offline }));
  return readBundle(extension)!;
}

function work(signal = new AbortController().signal): Work & { readonly steps: string[] } {
  const steps: string[] = [];
  const network = { proxy: '', noProxy: [], strictSsl: true };
  return { environment: process.env, network, signal, onStep: (step) => void steps.push(step), onLine: () => {}, steps };
}

before(async () => {
  mkdirSync(storage, { recursive: true });
  mkdirSync(workspace, { recursive: true });
  python = await findPython(search);
});

test('made, found again, rebuilt when its Python is gone', async () => {
  const owned = new OwnedEnvironment(storage, bundle('one'));
  assert.equal(owned.existed, false);
  assert.equal(owned.isComplete, false);
  const told = work();
  await owned.install(python, told);
  assert.deepEqual(told.steps.slice(0, 2), ['making an environment', 'installing packages']);
  assert.equal(new OwnedEnvironment(storage, owned.bundle).isComplete, true);
  assert.equal(await owned.runs(process.env), true);

  for (const name of readdirSync(path.dirname(owned.program)).filter((file) => file.startsWith('python'))) {
    rmSync(path.join(path.dirname(owned.program), name));
  }
  assert.equal(owned.isComplete, false);
  assert.equal(await owned.runs(process.env), false);
  await owned.install(python, work());
  assert.equal(await owned.runs(process.env), true);
});

test('another bundle is another environment, and the old one goes', async () => {
  const next = new OwnedEnvironment(storage, bundle('two'));
  assert.equal(next.existed, true);
  assert.equal(next.isComplete, false);
  await next.install(python, work());
  next.removeOthers();
  assert.deepEqual(readdirSync(path.join(storage, 'server')), ['two']);
  next.removeAll();
  assert.equal(existsSync(path.join(storage, 'server')), false);
});

test('cancelled: nothing is left', async () => {
  const owned = new OwnedEnvironment(storage, bundle('three'));
  const abort = new AbortController();
  const told = { ...work(abort.signal), onStep: (step: string) => (step === 'installing packages' ? abort.abort() : undefined) };
  await assert.rejects(owned.install(python, told), Cancelled);
  assert.equal(existsSync(owned.folder), false);
});

test('a server that does not run is a failure with a sentence, and nothing is left', async () => {
  const owned = new OwnedEnvironment(storage, bundle('four', 'raise SystemExit(3)\n'));
  await assert.rejects(owned.install(python, work()), /does not run/);
  assert.equal(existsSync(owned.folder), false);
});

test('packages that cannot be had: the sentence is pip’s', async () => {
  const broken = bundle('five');
  writeFileSync(path.join(broken.folder, 'constraints.txt'), 'seedling-lsp==9.9\n');
  await assert.rejects(new OwnedEnvironment(storage, broken).install(python, work()), /could not be installed: .*seedling/i);
});

test('a virtual environment or a program of the workspace is no Python to build on', async () => {
  const environment = path.join(top, 'venv');
  execFileSync(python, ['-m', 'venv', '--without-pip', environment]);
  const inside = path.join(environment, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  await assert.rejects(findPython({ ...search, chosen: inside }), /virtual environment/);
  await assert.rejects(findPython({ ...search, chosen: path.join(top, 'nowhere') }), /does not run/);
  await assert.rejects(findPython({ ...search, wanted: '3.1' }), /needs a Python 3\.1 .*none was found/);
  const onlyWorkspace = { ...search, environment: { PATH: path.dirname(inside) }, workspaceFolders: [top] };
  assert.ok(!(await findPython(onlyWorkspace).catch(() => '')).startsWith(top));
});
