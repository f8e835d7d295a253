/** The next edit: for which text it is, what is drawn and said of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, editFor, hint, idOf, type InlineEdit } from '../src/nextEditText';

const textDocument = { uri: 'file:///a.py', version: 3 };
const range = { start: { line: 4, character: 0 }, end: { line: 4, character: 1 } };
const command = { title: 'Rename n to count', command: 'seedling.nextEditAccepted', arguments: ['id-1'] };
const edit: InlineEdit = { text: 'count', range, textDocument, command };

test('an edit for this version of this document', () => {
  assert.equal(editFor({ edits: [edit] }, 'file:///a.py', 3), edit);
});
test('an edit for another version, document, or none', () => {
  assert.equal(editFor({ edits: [edit] }, 'file:///a.py', 4), undefined);
  assert.equal(editFor({ edits: [edit] }, 'file:///b.py', 3), undefined);
  for (const answer of [{ edits: [] }, { edits: null }, {}, null, undefined]) {
    assert.equal(editFor(answer, 'file:///a.py', 3), undefined);
  }
});
test('what is drawn is one line of bounded length', () => {
  assert.equal(drawn(edit), 'count');
  assert.equal(drawn({ ...edit, text: 'a\r\nb\nc' }), 'a↵b↵c');
  assert.equal(drawn({ ...edit, text: '' }), '');
  assert.equal(drawn({ ...edit, text: 'x'.repeat(500) }).length, 121);
});
test('the hint says where, counted from 1', () => {
  assert.equal(hint(edit, 4), 'Rename n to count: here');
  assert.equal(hint(edit, 9), 'Rename n to count: ↑ line 5');
  assert.equal(hint({ ...edit, command: undefined }, 0), 'Next edit: ↓ line 5');
});
test('the id is the first argument of the command', () => {
  assert.equal(idOf(edit), 'id-1');
  assert.equal(idOf({ ...edit, command: undefined }), undefined);
  assert.equal(idOf({ ...edit, command: { ...command, arguments: [3] } }), undefined);
});
