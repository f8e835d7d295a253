/**
 * A rewrite as the server answers it (`seedling.rewrite` with `apply: false`), what may be asked for, and the texts of its
 * preview. Pure.
 */
import type { Position } from './nextEditText';

export interface Kind {
  readonly kind: string;
  readonly title: string;
  readonly instruction: string;
}

/** What the model in use can rewrite, of the server's status. */
export interface Abilities {
  readonly rewrite?: 'none' | 'listed' | 'free' | null;
  readonly rewriteKinds?: readonly Kind[] | null;
}

export interface Choice {
  readonly label: string;
  readonly description?: string;
  readonly alwaysShow?: boolean;
  /** Undefined: what stands in the box when Enter comes. The list follows the box with a delay. */
  readonly instruction?: string;
}

export interface Rewritten {
  readonly reason: string | null;
  readonly sentence: string;
  readonly steps?: number;
  readonly forwards?: number;
  readonly elapsedMs?: number;
  /** These where something was written. */
  readonly version?: number;
  readonly range?: { readonly start: Position; readonly end: Position };
  readonly text?: string;
  readonly confidence?: number;
  readonly parses?: boolean;
}

const MAX_TITLE = 48;
const MAX_HISTORY = 20;

export const NO_REWRITES = 'The model in use does not rewrite code.';

/**
 * What may be chosen while `typed` stands in the box. In words: what is typed first, so that Enter never takes an earlier
 * instruction instead. From a list: what the model can do first; words stand last, for the kinds that need one (rename).
 */
export function choices(abilities: Abilities, history: readonly string[], typed: string): Choice[] {
  const inWords = typed === '' ? [] : [{ label: typed, description: 'in these words', alwaysShow: true }];
  if (abilities.rewrite === 'listed') {
    const kinds = abilities.rewriteKinds ?? [];
    return [...kinds.map(({ title, instruction }) => ({ label: title, instruction })), ...inWords];
  }
  const earlier = history.filter((one) => one !== typed);
  return [...inWords, ...earlier.map((one) => ({ label: one, description: 'asked before', instruction: one }))];
}

/** The instructions of this session, the newest first, each once. */
export function remembered(history: readonly string[], instruction: string): string[] {
  return [instruction, ...history.filter((earlier) => earlier !== instruction)].slice(0, MAX_HISTORY);
}

/** The title of the preview: what is wrong with it, how sure the model is, what was asked. Tabs cut off the end. */
export function titleOf(instruction: string, { confidence, parses }: Rewritten, attempt: number): string {
  const asked = instruction.length > MAX_TITLE ? `${instruction.slice(0, MAX_TITLE - 1)}…` : instruction;
  const notes = [
    ...(parses === false ? ['does not parse'] : []),
    ...(confidence === undefined ? [] : [`${Math.round(confidence * 100)} % sure`]),
    ...(attempt > 1 ? [`attempt ${attempt}`] : []),
  ];
  return `Rewrite${notes.length === 0 ? '' : ` (${notes.join(', ')})`}: ${asked}`;
}

/** A text with characters start to end (UTF-16 units) replaced; the new ones get the text's line ends. */
export function replaced(text: string, start: number, end: number, written: string): string {
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
  return text.slice(0, start) + written.replaceAll(/\r?\n/g, lineEnd) + text.slice(end);
}
