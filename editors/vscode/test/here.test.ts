/** Why nothing is shown in the focused document. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quietHere } from '../src/here';

const document = { uri: 'file:///a.py', languageId: 'python', isServed: true };
const ready = { kind: 'Normal', busy: false, message: 'ready' } as const;
const snoozed = { kind: 'Inactive', busy: false, message: 'Snoozed.', reason: 'snoozed', uri: document.uri } as const;

test('ready: nothing to say', () => assert.equal(quietHere({ document, enabled: true, state: ready }), undefined));
test('no document: nothing to say', () => {
  assert.equal(quietHere({ document: undefined, enabled: true, state: snoozed }), undefined);
});
test('the server tells why', () => assert.equal(quietHere({ document, enabled: true, state: snoozed }), 'Snoozed.'));
test('a reason about another document is not told', () => {
  const other = { ...document, uri: 'file:///b.py' };
  assert.equal(quietHere({ document: other, enabled: true, state: snoozed }), undefined);
});
test('the setting comes first', () => {
  assert.match(quietHere({ document, enabled: false, state: snoozed }) ?? '', /seedling\.enable/);
});
test('a document that is not served', () => {
  const markdown = { uri: 'file:///a.md', languageId: 'markdown', isServed: false };
  assert.match(quietHere({ document: markdown, enabled: true, state: ready }) ?? '', /markdown/);
});
test('an engine that loads is a reason everywhere', () => {
  const loading = { kind: 'Normal', busy: true, message: 'Loading.' } as const;
  assert.equal(quietHere({ document, enabled: true, state: loading }), 'Loading.');
});
