/** What was corrected between two frames. In the notation here ░ is a mask; what is marked stands in ‹›. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changed, type Unit } from '../src/corrections';

const units = (text: string): Unit[] => [...text].map((one) => ({ text: one, isMask: one === '░' }));

function marked(before: string, after: string): string {
  const marks = changed(units(before), units(after));
  return [...after].reduce((text, one, index) => {
    const opens = marks[index] && !marks[index - 1] ? '‹' : '';
    return text + opens + one + (marks[index] && !marks[index + 1] ? '›' : '');
  }, '');
}

const cases: readonly (readonly [string, string, string, string])[] = [
  ['nothing', 'return x', 'return x', 'return x'],
  ['masks become text', 'return ░░', 'return total', 'return total'],
  ['a mask stays', 'f(░░)', 'f(a, ░)', 'f(a, ░)'],
  ['a word grows out of a mask beside it', 'ret░ x', 'return x', 'return x'],
  ['masks become nothing', 'return x░░', 'return x', 'return x'],
  ['everything at once', '░░░', 'x = x + 1', 'x = x + 1'],
  ['a word becomes another', 'for i in nme:', 'for i in name:', 'for i in ‹name›:'],
  ['a word becomes another beside a mask', 'x = nme ░', 'x = total + 1', 'x = ‹total› + 1'],
  ['two corrections', 'a = b', 'c = d', '‹c› = ‹d›'],
  ['an operator', 'x = y == 1', 'x = y != 1', 'x = y ‹!›= 1'],
  ['text becomes a mask again', 'x = y', 'x = ░', 'x = ‹░›'],
  ['text goes', 'a, b, c', 'a, c', 'a, ‹c›'],
  ['text goes at the end', 'f(a))', 'f(a)', 'f(a‹)›'],
  ['text comes where no mask was', 'f(a', 'f(a)', 'f(a‹)›'],
  ['astral characters are one', 's = "𝒳"', 's = "𝒴"', 's = "‹𝒴›"'],
  ['another block of masks', 'return x', 'return x░░░░', 'return x░░░░'],
  ['the first text', '', 'x = 1', '‹x = 1›'],
];
for (const [name, before, after, expected] of cases) {
  test(name, () => assert.equal([...marked(before, after)].join(''), expected));
}

test('a repeated text is not taken for a correction', () => {
  assert.equal(marked('░ x ░ x', 'x = x + x'), 'x = x + x');
});
test('what is too long to compare is one correction between what is equal', () => {
  const [before, after] = ['a'.repeat(3_000), 'b'.repeat(3_000)];
  const marks = changed(units(`(${before})`), units(`(${after})`));
  assert.equal(marks.filter(Boolean).length, 3_000);
  assert.deepEqual([marks[0], marks.at(-1)], [false, false]);
});
