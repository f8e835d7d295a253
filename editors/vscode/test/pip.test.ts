/** VS Code's settings of the network reach pip, and a proxy's password reaches no command line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pipEnvironment, trust } from '../src/pip';

const none = { proxy: '', noProxy: [], strictSsl: true };

test('without settings the environment holds', () => {
  assert.deepEqual(pipEnvironment({ HTTPS_PROXY: 'http://p:1' }, none), { HTTPS_PROXY: 'http://p:1' });
});
test('the setting wins, in both spellings', () => {
  const told = pipEnvironment({ https_proxy: 'http://old:1' }, { ...none, proxy: 'http://new:2', noProxy: ['a', 'b'] });
  assert.equal(told['https_proxy'], 'http://new:2');
  assert.equal(told['HTTP_PROXY'], 'http://new:2');
  assert.equal(told['NO_PROXY'], 'a,b');
});
test('each host is named', () => assert.deepEqual(trust(['a', 'b']), ['--trusted-host', 'a', '--trusted-host', 'b']));
