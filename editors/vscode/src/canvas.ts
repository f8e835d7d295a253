/**
 * The canvas as the server sends it after each step (`seedling/canvas`), and what is drawn and said of it. Pure.
 *
 * A frame holds runs of text in one state; how a run divides into tokens is not told. What nobody could see in the text
 * the server has made visible. Left out: which text was corrected (corrections.ts).
 */
import { changed, type Unit } from './corrections';

export interface Piece {
  readonly state: 'masked' | 'draft' | 'locked' | 'committed';
  readonly text: string;
  readonly numTokens: number;
  readonly confidence: number;
}

export interface Frame {
  readonly token: string | number;
  readonly step: number;
  readonly elapsedMs: number;
  readonly confidence: number;
  readonly pieces: readonly Piece[];
}

/** Text that is drawn in one way. `level`: 1 (doubtful) to 5 (sure), of a draft. */
export interface Span {
  readonly text: string;
  readonly state: Piece['state'];
  readonly level: number;
  readonly isCorrected: boolean;
}

/** One step, ready to be drawn or said. */
export interface Step {
  readonly spans: readonly Span[];
  readonly numCorrected: number;
  /** The figures, for the line below the canvas. */
  readonly line: string;
  /** The whole step as one line of words, for screen readers. */
  readonly words: string;
}

/** How it ended. Without a `reason` something was written: `text`, in place of all that is not locked. */
export interface Ending {
  readonly reason?: string | null;
  readonly sentence?: string | null;
  readonly text?: string | null;
  readonly confidence?: number | null;
  readonly numTokens?: number | null;
  readonly steps?: number | null;
  readonly forwards?: number | null;
  readonly elapsedMs?: number | null;
}

const MASK = '░';
// The least confidence of levels 2 to 5.
const LEVELS = [0.3, 0.5, 0.7, 0.9];

/** The step that led to `frame`; `before` is the frame before it in the same run. */
export function stepOf(before: Frame | undefined, frame: Frame): Step {
  const isChanged = before === undefined ? [] : changed(unitsOf(before), unitsOf(frame));
  const spans: Span[] = [];
  let numCorrected = 0;
  let wasCorrected = false;
  unitsOf(frame).forEach((unit, index) => {
    const { state, confidence } = unit.piece;
    const isCorrected = isChanged[index] === true;
    numCorrected += isCorrected && !wasCorrected ? 1 : 0;
    wasCorrected = isCorrected;
    const span = { text: unit.text, state, level: levelOf(confidence), isCorrected };
    const last = spans.at(-1);
    if (last !== undefined && last.state === state && last.level === span.level && last.isCorrected === isCorrected) {
      spans[spans.length - 1] = { ...last, text: last.text + span.text };
    } else {
      spans.push(span);
    }
  });
  const [numWritten, numTokens] = countsOf(frame);
  const figures = `step ${frame.step}, ${Math.round(frame.elapsedMs)} ms: ${numWritten} of ${numTokens} tokens written`;
  const line = `${figures}, ${numCorrected} corrected, ${percent(frame.confidence)} sure`;
  const words = `${figures}, ${numCorrected} corrected: ${inOneLine(spans)}`;
  return { spans, numCorrected, line, words };
}

/** The answer as a step behind the last frame, unless that shows it: the engine sends no frame of its last step. */
export function lastStep(last: Frame, { reason, text, steps, elapsedMs, confidence }: Ending): Step | undefined {
  const isOpen = ({ state }: Piece) => state !== 'locked';
  const written = last.pieces.filter(isOpen);
  const isShown = written.every(({ state }) => state === 'committed' || state === 'draft');
  if (reason != null || text == null || (isShown && written.map((piece) => piece.text).join('') === text)) {
    return undefined;
  }
  const first = Math.max(0, last.pieces.findIndex(isOpen));
  const final: Piece = { state: 'committed', text, numTokens: 0, confidence: 1 };
  const locked = (piece: Piece) => !isOpen(piece);
  const pieces = [...last.pieces.slice(0, first), final, ...last.pieces.slice(first).filter(locked)];
  const frame = { ...last, step: steps ?? last.step + 1, elapsedMs: elapsedMs ?? last.elapsedMs, pieces };
  const step = stepOf(last, frame);
  const figures = `step ${frame.step}, ${Math.round(frame.elapsedMs)} ms: finished, ${step.numCorrected} corrected`;
  const sure = confidence == null ? '' : `, ${percent(confidence)} sure`;
  return { ...step, line: figures + sure, words: `${figures}: ${inOneLine(step.spans)}` };
}

/** The end of a run in one sentence. */
export function summary(ending: Ending, last: Frame | undefined, numCorrected: number): string {
  if (ending.reason != null) {
    return ending.sentence || 'Nothing was written.';
  }
  if (last === undefined) {
    return 'Written at once: there was no step to show.';
  }
  const elapsedMs = ending.elapsedMs ?? last.elapsedMs;
  const [numWritten, numAll] = countsOf(last);
  // A frame with masks is not the last one, whose number of tokens only the server knows.
  const numTokens = ending.numTokens ?? (numWritten === numAll ? numAll : undefined);
  return [
    counted(ending.steps ?? last.step, 'step'),
    ...(ending.forwards == null ? [] : [counted(ending.forwards, 'forward')]),
    counted(numCorrected, 'correction'),
    `${Math.round(elapsedMs)} ms`,
    ...(numTokens === undefined ? [] : [`${Math.round((numTokens / Math.max(elapsedMs, 1)) * 1000)} tokens/s`]),
  ].join(', ');
}

/** How far a run is, for a progress message. */
export function progressOf(frame: Frame): string {
  const [numWritten, numTokens] = countsOf(frame);
  return `step ${frame.step}, ${numWritten} of ${numTokens} tokens`;
}

export function levelOf(confidence: number): number {
  return 1 + LEVELS.filter((least) => confidence >= least).length;
}

/** How many tokens are written, and how many there are; locked text was there before. */
function countsOf({ pieces }: Frame): readonly [number, number] {
  const counted = pieces.filter(({ state }) => state !== 'locked');
  const sum = (some: readonly Piece[]) => some.reduce((total, { numTokens }) => total + numTokens, 0);
  return [sum(counted.filter(({ state }) => state !== 'masked')), sum(counted)];
}

/** Character by character, a mask for each masked token. */
function unitsOf(frame: Frame): (Unit & { readonly piece: Piece })[] {
  return frame.pieces.flatMap((piece) => {
    const isMask = piece.state === 'masked';
    const text = isMask ? MASK.repeat(piece.numTokens) : piece.text;
    return [...text].map((character) => ({ text: character, isMask, piece }));
  });
}

function inOneLine(spans: readonly Span[]): string {
  const text = spans.map((span) => (span.state === 'masked' ? ' … ' : span.text)).join('');
  return text.replaceAll(/\s+/g, ' ').trim();
}

function counted(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
