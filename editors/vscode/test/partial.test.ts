/** How much of a suggestion was taken: read off the document, in UTF-16 units. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedLength } from '../src/partial';

test('a word, then another: cumulative', () => {
  assert.equal(acceptedLength('range(10):', 'range', ''), 5);
  assert.equal(acceptedLength('range(10):', 'range(10', 'range'), 8);
});
test('units are UTF-16', () => assert.equal(acceptedLength('"🌱 seed"', '"🌱', ''), 3));
test('the ghost text of somebody else is not counted', () => assert.equal(acceptedLength('range', 'rank', 'ra'), undefined));
test('nothing new is nothing', () => assert.equal(acceptedLength('range', 'ra', 'ra'), undefined));
test('newlines are counted as the suggestion has them', () => {
  assert.equal(acceptedLength('a\nb', 'a\r\nb', ''), 3);
  assert.equal(acceptedLength('a\r\nb', 'a\r\nb', ''), 4);
});
