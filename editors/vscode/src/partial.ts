/**
 * How much of a suggestion has been taken. VS Code's stable interface tells nothing of it, so it is read off the
 * document: what stands between the suggestion's start and the cursor, where that begins the suggestion's text.
 * Units are UTF-16, cumulative from the start of the text, as `textDocument/didPartiallyAcceptCompletion` wants them.
 */

/** The accepted length, or undefined where `written` is not a beginning of `text`, or nothing new. */
export function acceptedLength(text: string, written: string, writtenBefore: string): number | undefined {
  // The document's newlines are its own; those of the text are the server's.
  const same = text.includes('\r\n') ? written : written.replaceAll('\r\n', '\n');
  return text.startsWith(same) && written.length > writtenBefore.length ? same.length : undefined;
}
