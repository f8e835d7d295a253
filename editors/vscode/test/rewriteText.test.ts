/** Rewrites: what is asked for, the title of the preview, the text that it shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choices, remembered, replaced, type Rewritten, titleOf } from '../src/rewriteText';

const written: Rewritten = { reason: null, sentence: '', confidence: 0.874, parses: true };

test('in words: what is typed first, then what was asked before', () => {
  const labels = (typed: string) => choices({ rewrite: 'free' }, ['b', 'a'], typed).map(({ label }) => label);
  assert.deepEqual(labels(''), ['b', 'a']);
  assert.deepEqual(labels('a'), ['a', 'b']);
});
test('from a list: what the model can do, then what is typed', () => {
  const rewriteKinds = [{ kind: 'docstring', title: 'Add a docstring', instruction: 'add a docstring' }];
  const chosen = choices({ rewrite: 'listed', rewriteKinds }, ['b'], 'rename n to m');
  assert.deepEqual(chosen.map(({ instruction }) => instruction), ['add a docstring', undefined]);
  assert.equal(chosen[1]?.label, 'rename n to m');
  assert.deepEqual(choices({ rewrite: 'listed' }, [], ''), []);
});
test('the history holds each instruction once, the newest first, and not too many', () => {
  assert.deepEqual(remembered(['a', 'b', 'c'], 'b'), ['b', 'a', 'c']);
  assert.equal(remembered([...Array(40).keys()].map(String), 'x').length, 20);
});
test('the title says how sure, which attempt, and what is wrong', () => {
  assert.equal(titleOf('add a docstring', written, 1), 'Rewrite (87 % sure): add a docstring');
  const broken = { ...written, parses: false };
  assert.equal(titleOf('x', broken, 3), 'Rewrite (does not parse, 87 % sure, attempt 3): x');
  assert.ok(titleOf('y'.repeat(300), written, 1).length < 80);
});
test('the proposed text has the line ends of the document', () => {
  assert.equal(replaced('a\nb\nc\n', 2, 3, 'x\ny'), 'a\nx\ny\nc\n');
  assert.equal(replaced('a\r\nb\r\nc', 3, 4, 'x\ny'), 'a\r\nx\r\ny\r\nc');
  assert.equal(replaced('ab', 1, 1, ''), 'ab');
});
