/**
 * Accepting ghost text: all, a word, a line. These commands call VS Code's own, which also serve the ghost text of other
 * extensions, and then tell the server what was taken of ours: VS Code's stable interface tells an extension nothing of
 * partial acceptance (Tabby wraps the commands for the same reason). That a whole suggestion was accepted the server
 * learns by the suggestion's own command.
 *
 * Left out: `textDocument/didShowCompletion`. Whether VS Code draws a suggestion is not told either, only that it was
 * given one; a guess would spoil the one figure that it is for.
 */
import * as vscode from 'vscode';
import { acceptedLength } from './partial';
import type { Server } from './server';

export function acceptCommands(server: Server): Record<string, () => Promise<void>> {
  return {
    accept: async () => void (await vscode.commands.executeCommand('editor.action.inlineSuggest.commit')),
    acceptWord: () => acceptPart(server, 'editor.action.inlineSuggest.acceptNextWord'),
    acceptLine: () => acceptPart(server, 'editor.action.inlineSuggest.acceptNextLine'),
  };
}

async function acceptPart(server: Server, command: string): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const before = editor?.selection.active;
  const items = editor === undefined ? [] : server.answers.itemsFor(editor.document);
  const startsBefore = items.map((item) => writtenOf(item, editor!.document, before!));
  await vscode.commands.executeCommand(command);
  if (editor === undefined) {
    return;
  }
  for (const [index, item] of items.entries()) {
    const written = writtenOf(item, editor.document, editor.selection.active);
    const length = acceptedLength(textOf(item), written, startsBefore[index]!);
    if (length !== undefined) {
      const told = { insertText: textOf(item), command: item.command };
      await server.tell('textDocument/didPartiallyAcceptCompletion', { item: told, acceptedLength: length });
      return;
    }
  }
}

/** What stands between the suggestion's start and `end`. */
function writtenOf(item: vscode.InlineCompletionItem, document: vscode.TextDocument, end: vscode.Position): string {
  const start = item.range?.start;
  return start === undefined || start.isAfter(end) ? '' : document.getText(new vscode.Range(start, end));
}

function textOf(item: vscode.InlineCompletionItem): string {
  return typeof item.insertText === 'string' ? item.insertText : item.insertText.value;
}
