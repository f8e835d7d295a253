/**
 * Watch: the completion at the cursor, written step by step for somebody to look at. Nothing is applied. It ends with the
 * view that shows it, with the next one, and (the server's rule) with a keystroke in the document.
 */
import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import type { Ending } from './canvas';
import { type DenoiseView, wantsWords } from './denoiseView';
import { isServed } from './languages';
import type { Server } from './server';

const NUM_LINES_BEFORE = 4;

export class Watch implements vscode.Disposable {
  private running: vscode.CancellationTokenSource | undefined;
  private readonly closed: vscode.Disposable;

  constructor(
    private readonly server: Server,
    private readonly view: DenoiseView,
  ) {
    this.closed = view.onDidClose(() => this.running?.cancel());
  }

  async start(asWords = wantsWords()): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (editor === undefined || !isServed(editor.document)) {
      void vscode.window.showInformationMessage('Seedling: open a file with code first.');
      return;
    }
    this.running?.cancel();
    const running = (this.running = new vscode.CancellationTokenSource());
    const token = randomUUID();
    this.view.open(asWords);
    this.view.begin(token, runOf(editor.document, editor.selection.active));
    let ending: Ending = { reason: 'cancelled', sentence: 'Cancelled.' };
    try {
      const { line, character } = editor.selection.active;
      const { version } = editor.document;
      const argument = { uri: this.server.uriOf(editor.document), version, position: { line, character }, token };
      const request = { command: 'seedling.watch', arguments: [argument] };
      ending = await this.server.ask<Ending>('workspace/executeCommand', request, running.token);
    } catch (error) {
      if (!running.token.isCancellationRequested) {
        ending = { reason: 'failed', sentence: (error as Error).message };
      }
    } finally {
      running.dispose();
      this.view.end(token, ending);
    }
  }

  dispose(): void {
    this.running?.cancel();
    this.closed.dispose();
  }
}

function runOf(document: vscode.TextDocument, cursor: vscode.Position) {
  const first = Math.max(0, cursor.line - NUM_LINES_BEFORE);
  const line = document.lineAt(cursor.line);
  return {
    title: `${document.uri.path.split('/').at(-1)}, line ${cursor.line + 1}`,
    before: document.getText(new vscode.Range(new vscode.Position(first, 0), cursor)).replace(/^\s*\n/, '').replaceAll('\r\n', '\n'),
    after: document.getText(new vscode.Range(cursor, line.range.end)),
  };
}
