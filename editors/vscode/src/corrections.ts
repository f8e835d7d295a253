/**
 * What was corrected between two frames of a canvas: text that was visible before (no mask stood there) and is another
 * now. The frames tell no positions of tokens, and tokens come and go, so the two are aligned: a run of masks may have
 * become anything at no cost, every other change costs one, and the cheapest alignment counts. Pure.
 */
export interface Unit {
  /** One character, or the sign for a mask. */
  readonly text: string;
  readonly isMask: boolean;
}

// Beyond this many pairs the whole stretch between what is equal at both ends counts as one correction.
const MAX_PAIRS = 4_000_000;
const WORD = /[\p{L}\p{N}_]/u;

/** For each unit of `after`: whether it stands where something visible was changed, spread to whole words. */
export function changed(before: readonly Unit[], after: readonly Unit[]): boolean[] {
  const old = before.filter((unit, index) => !(unit.isMask && before[index - 1]?.isMask)); // a run of masks is one
  let first = 0;
  while (first < old.length && first < after.length && isSame(old[first]!, after[first]!)) {
    first++;
  }
  let numLast = 0;
  const room = Math.min(old.length, after.length) - first;
  while (numLast < room && isSame(old[old.length - 1 - numLast]!, after[after.length - 1 - numLast]!)) {
    numLast++;
  }
  const all = Array<boolean>(after.length).fill(false);
  for (const place of changes(old.slice(first, old.length - numLast), after.slice(first, after.length - numLast))) {
    const index = Math.min(first + place, after.length - 1); // text that only went marks what now stands behind it
    if (index >= 0) {
      all[index] = true;
    }
  }
  return inWholeWords(all, after);
}

function isSame(one: Unit, other: Unit): boolean {
  return !one.isMask && !other.isMask && one.text === other.text;
}

/** The places in `after` where the cheapest alignment changes something; its length is the place behind it. */
function changes(old: readonly Unit[], after: readonly Unit[]): number[] {
  if (old.length * after.length > MAX_PAIRS) {
    return [...after.keys()];
  }
  const places: number[] = [];
  const width = after.length + 1;
  const cost = new Uint16Array((old.length + 1) * width);
  for (let i = old.length; i >= 0; i--) {
    for (let j = after.length; j >= 0; j--) {
      cost[i * width + j] = cheapest(i, j).cost;
    }
  }
  for (let i = 0, j = 0; i < old.length || j < after.length; ) {
    const { move, isChange } = cheapest(i, j);
    if (isChange) {
      places.push(j);
    }
    i += move[0];
    j += move[1];
  }
  return places;

  /** Masks that appear, another block, replace nothing. */
  function priceOfNew(j: number): number {
    return after[j]!.isMask ? 0 : 1;
  }

  /** From old unit i and new unit j to the end: what the best first move is, and what the whole way costs. */
  function cheapest(i: number, j: number): Move {
    const at = (move: Move['move'], price: number): Move => {
      const rest = cost[(i + move[0]) * width + j + move[1]]!;
      return { move, cost: Math.min(rest + price, 0xffff), isChange: price > 0 };
    };
    const unit = old[i];
    if (unit === undefined) {
      return j === after.length ? { move: [0, 0], cost: 0, isChange: false } : at([0, 1], priceOfNew(j));
    }
    if (j === after.length) {
      return at([1, 0], unit.isMask ? 0 : 1);
    }
    if (unit.isMask) {
      return least(at([0, 1], 0), at([1, 0], 0));
    }
    const both = at([1, 1], isSame(unit, after[j]!) ? 0 : 1);
    return least(both, least(at([1, 0], 1), at([0, 1], priceOfNew(j))));
  }
}

interface Move {
  /** How many old and new units it passes. */
  readonly move: readonly [number, number];
  readonly cost: number;
  readonly isChange: boolean;
}

function least(one: Move, other: Move): Move {
  return other.cost < one.cost ? other : one;
}

function inWholeWords(marks: readonly boolean[], units: readonly Unit[]): boolean[] {
  const all = [...marks];
  const isInWord = (index: number) => units[index] !== undefined && !units[index].isMask && WORD.test(units[index].text);
  for (let index = 1; index < all.length; index++) {
    all[index] ||= all[index - 1]! && isInWord(index - 1) && isInWord(index);
  }
  for (let index = all.length - 2; index >= 0; index--) {
    all[index] ||= all[index + 1]! && isInWord(index) && isInWord(index + 1);
  }
  return all;
}
