/**
 * The next edit as the server sends it (`textDocument/copilotInlineEdit`), and what is said and drawn of it. Pure.
 */
export interface Position {
  readonly line: number;
  readonly character: number;
}

export interface InlineEdit {
  readonly text: string;
  readonly range: { readonly start: Position; readonly end: Position };
  readonly textDocument: { readonly uri: string; readonly version: number };
  readonly command?: { readonly title: string; readonly command: string; readonly arguments?: readonly unknown[] };
}

export interface Answer {
  readonly edits?: readonly InlineEdit[] | null;
  /** Only when asked by hand: why there is none. */
  readonly sentence?: string | null;
}

const MAX_DRAWN = 120;

/** The edit of an answer, if it was made for this version of this document. */
export function editFor(answer: Answer | null | undefined, uri: string, version: number): InlineEdit | undefined {
  const edit = answer?.edits?.[0];
  return edit?.textDocument.uri === uri && edit.textDocument.version === version ? edit : undefined;
}

/** New text on one line, for drawing beside the old one. A deletion draws nothing. */
export function drawn(edit: InlineEdit): string {
  const line = edit.text.replaceAll(/\r?\n/g, '↵');
  return line.length > MAX_DRAWN ? `${line.slice(0, MAX_DRAWN)}…` : line;
}

/** Where it is and what it does, in words: the hint beside the cursor, and what a screen reader can read. */
export function hint(edit: InlineEdit, cursorLine: number): string {
  const line = edit.range.start.line;
  const where = line === cursorLine ? 'here' : `${line < cursorLine ? '↑' : '↓'} line ${line + 1}`;
  return `${edit.command?.title ?? 'Next edit'}: ${where}`;
}

/** The server's name for an edit, with which it is told what became of it. */
export function idOf(edit: InlineEdit): string | undefined {
  const id = edit.command?.arguments?.[0];
  return typeof id === 'string' ? id : undefined;
}
