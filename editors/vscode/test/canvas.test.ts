/** Steps of a canvas: what is drawn, what is said, how it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Frame, lastStep, levelOf, type Piece, progressOf, stepOf, summary } from '../src/canvas';

function piece(state: Piece['state'], text: string, numTokens: number, confidence = 1): Piece {
  return { state, text, numTokens, confidence };
}

function frame(step: number, ...pieces: Piece[]): Frame {
  return { token: 't', step, elapsedMs: step * 8.2, confidence: 0.5, pieces };
}

const first = frame(1, piece('draft', 'return', 1, 0.95), piece('masked', '', 3, 0));
const second = frame(2, piece('draft', 'return nme', 3, 0.4), piece('masked', '', 1, 0));
const third = frame(3, piece('committed', 'return name', 4));

test('the first step has nothing to be compared with', () => {
  const { spans, numCorrected } = stepOf(undefined, first);
  assert.deepEqual(
    spans.map(({ text, state, isCorrected }) => [text, state, isCorrected]),
    [['return', 'draft', false], ['░░░', 'masked', false]],
  ); // prettier-ignore
  assert.equal(numCorrected, 0);
});
test('what was masked is no correction, what was written is one', () => {
  assert.equal(stepOf(first, second).numCorrected, 0);
  const { spans, numCorrected } = stepOf(second, third);
  assert.equal(numCorrected, 1);
  assert.deepEqual(spans.filter(({ isCorrected }) => isCorrected).map(({ text }) => text), ['name']);
  assert.equal(spans.map(({ text }) => text).join(''), 'return name');
});
test('a step in words', () => {
  assert.equal(stepOf(first, second).words, 'step 2, 16 ms: 3 of 4 tokens written, 0 corrected: return nme …');
  assert.equal(stepOf(second, third).words, 'step 3, 25 ms: 4 of 4 tokens written, 1 corrected: return name');
});
test('the line of figures', () => {
  assert.equal(stepOf(first, second).line, 'step 2, 16 ms: 3 of 4 tokens written, 0 corrected, 50 % sure');
});
test('locked text is shown and not counted', () => {
  const step = stepOf(undefined, frame(1, piece('draft', 'x = 1', 3), piece('locked', '\nreturn x', 4)));
  assert.match(step.words, /3 of 3 tokens written, 0 corrected: x = 1 return x$/);
  assert.deepEqual(step.spans.map(({ state }) => state), ['draft', 'locked']);
});
test('five levels of confidence', () => {
  assert.deepEqual([0, 0.3, 0.5, 0.7, 0.9, 1].map(levelOf), [1, 2, 3, 4, 5, 5]);
});
test('how far it is', () => assert.equal(progressOf(second), 'step 2, 3 of 4 tokens'));
test('the end in figures', () => {
  const ending = { reason: null, forwards: 4, elapsedMs: 40 };
  assert.equal(summary(ending, third, 1), '3 steps, 4 forwards, 1 correction, 40 ms, 100 tokens/s');
  assert.equal(summary({ elapsedMs: 0, numTokens: 4 }, first, 0), '1 step, 0 corrections, 0 ms, 4000 tokens/s');
  assert.equal(summary({ steps: 2 }, first, 0), '2 steps, 0 corrections, 8 ms');
});
test('the answer is shown where the last frame does not show it', () => {
  const step = lastStep(second, { reason: null, text: 'return name', steps: 3, elapsedMs: 30, confidence: 0.9 });
  assert.equal(step?.line, 'step 3, 30 ms: finished, 1 corrected, 90 % sure');
  assert.equal(step?.words, 'step 3, 30 ms: finished, 1 corrected: return name');
  assert.deepEqual(step?.spans.map(({ state }) => state), ['committed', 'committed']);
  assert.equal(lastStep(third, { text: 'return name' }), undefined);
  assert.equal(lastStep(second, { reason: 'superseded', text: '' }), undefined);
  const besides = frame(1, piece('locked', 'a\n', 2), piece('masked', '', 2, 0), piece('locked', '\nb', 2));
  assert.match(lastStep(besides, { text: 'x = 1' })?.words ?? '', /0 corrected: a x = 1 b$/);
});
test('the end without anything', () => {
  assert.equal(summary({ reason: 'superseded', sentence: 'A newer one.' }, third, 1), 'A newer one.');
  assert.equal(summary({ reason: 'x' }, undefined, 0), 'Nothing was written.');
  assert.match(summary({ reason: null }, undefined, 0), /no step/);
});
