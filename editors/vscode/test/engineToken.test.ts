/** Which words can be an engine's token, and where it goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemOf, VARIABLE, withToken } from '../src/engineTokenText';

test('a word, blanks around it, or nothing', () => {
  for (const typed of ['6f1c0a5e7d2b4c3f9a8e7d6c', ' pasted-with-blanks\n', '', 'a'.repeat(1024)]) {
    assert.equal(problemOf(typed), undefined);
  }
});
test('what would end a header, or is no ASCII', () => {
  for (const typed of ['two words', 'a\r\nHost: evil', 'größe', 'a\u0000b']) {
    assert.match(problemOf(typed) ?? '', /one word/);
  }
  assert.match(problemOf('a'.repeat(1025)) ?? '', /at most 1024/);
});
test('it goes before the environment’s own, which stays as it is', () => {
  const environment = { PATH: '/bin', [VARIABLE]: 'old' };
  assert.deepEqual(withToken(environment, 'new'), { PATH: '/bin', [VARIABLE]: 'new' });
  assert.equal(environment[VARIABLE], 'old');
  assert.equal(withToken(environment, undefined)[VARIABLE], 'old');
  assert.equal(VARIABLE, 'SEEDLING_ENGINE_TOKEN');
});
