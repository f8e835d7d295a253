/** The order of a menu: a fix stands before what sends its hint away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inOrder } from '../src/actionOrder';

const fix = { title: 'Seedling: widht → width', isAI: true };
const ignore = () => ({ title: 'Seedling: Ignore here', command: { title: '', command: 'seedling.ignoreFinding' }, isAI: false });

test('behind a fix of the model, "Ignore here" is marked like it', () => {
  const actions = [fix, ignore()];
  inOrder(actions);
  assert.deepEqual(actions.map(({ isAI }) => isAI), [true, true]);
});
test('anything else stays as it is', () => {
  const others = [ignore(), { title: 'of another extension', isAI: false }];
  inOrder(others);
  assert.deepEqual(others.map(({ isAI }) => isAI), [false, false]);
  assert.equal(inOrder(null), null);
});
