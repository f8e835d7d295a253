/**
 * Rewrite: asks what is wanted (in words, or from the list of what the model can do), has the server write it with a
 * progress that can be cancelled, and shows the preview. The denoise view draws the canvas meanwhile, where it is open.
 */
import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import { progressOf } from './canvas';
import type { DenoiseView } from './denoiseView';
import { isServed } from './languages';
import { Preview, type Question } from './preview';
import { type Abilities, type Choice, choices, NO_REWRITES, remembered, type Rewritten } from './rewriteText';
import type { Server } from './server';

export class Rewrites implements vscode.Disposable {
  private readonly preview = new Preview();
  private history: readonly string[] = [];
  private running: vscode.CancellationTokenSource | undefined;

  constructor(
    private readonly server: Server,
    private readonly view: DenoiseView,
  ) {}

  /** What is selected, or the statement at the cursor. */
  async rewriteSelection(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (editor === undefined || !isServed(editor.document)) {
      void vscode.window.showInformationMessage('Seedling: open a file with code first.');
      return;
    }
    const { document, selection, viewColumn } = editor;
    const { version } = document;
    const abilities = await this.server.execute<Abilities>('seedling.status', this.server.uriOf(document));
    const instruction = await this.ask(abilities);
    if (instruction === undefined) {
      return;
    }
    await this.write({ document, version, selection, viewColumn, instruction, numRetries: 0 });
  }

  accept(): Promise<void> {
    return this.preview.accept();
  }

  reject(): Promise<void> {
    return this.preview.reject();
  }

  /** The same once more, with another seed. The preview stays until there is something new to show. */
  async retry(): Promise<void> {
    const { question } = this.preview;
    if (question !== undefined) {
      await this.write({ ...question, numRetries: question.numRetries + 1 });
    }
  }

  dispose(): void {
    this.running?.cancel();
    this.preview.dispose();
  }

  /** An input box with a list: what the model can do, or this session's earlier instructions. */
  private async ask(abilities: Abilities): Promise<string | undefined> {
    if (abilities.rewrite !== 'listed' && abilities.rewrite !== 'free') {
      void vscode.window.showInformationMessage(`Seedling: ${NO_REWRITES}`);
      return undefined;
    }
    const pick = vscode.window.createQuickPick<Choice & vscode.QuickPickItem>();
    pick.title = 'Seedling: Rewrite';
    pick.placeholder =
      abilities.rewrite === 'free'
        ? 'What shall be done with the code? For example: add a docstring'
        : 'What shall be done with the code? Choose, or say it in words: rename n to count';
    const fill = () => (pick.items = choices(abilities, this.history, pick.value.trim()));
    fill();
    pick.onDidChangeValue(fill);
    try {
      return await new Promise<string | undefined>((resolve) => {
        pick.onDidAccept(() => resolve(pick.selectedItems[0]?.instruction ?? (pick.value.trim() || undefined)));
        pick.onDidHide(() => resolve(undefined));
        pick.show();
      });
    } finally {
      pick.dispose();
    }
  }

  private async write(question: Question): Promise<void> {
    this.history = remembered(this.history, question.instruction);
    this.running?.cancel();
    const running = (this.running = new vscode.CancellationTokenSource());
    const token = randomUUID();
    this.view.begin(token, { title: `Rewrite: ${question.instruction}`, before: '', after: '' });
    let rewritten: Rewritten = { reason: 'cancelled', sentence: 'Cancelled.' };
    try {
      rewritten = await this.withProgress(question, token, running);
    } catch (error) {
      if (!running.token.isCancellationRequested) {
        throw error;
      }
    } finally {
      running.dispose();
      this.view.end(token, rewritten);
    }
    const { range, text } = rewritten;
    if (this.running !== running || running.token.isCancellationRequested) {
      return;
    }
    if (rewritten.reason !== null || range === undefined || text === undefined) {
      void vscode.window.showInformationMessage(`Seedling: ${rewritten.sentence}`);
      return;
    }
    await this.preview.show(question, { ...rewritten, range, text });
  }

  private withProgress(
    { document, version, selection, instruction, numRetries }: Question,
    token: string,
    running: vscode.CancellationTokenSource,
  ): Thenable<Rewritten> {
    const place = vscode.ProgressLocation.Notification;
    const title = `Seedling: ${instruction}`;
    return vscode.window.withProgress({ location: place, title, cancellable: true }, async (progress, cancelled) => {
      const frames = this.server.onFrame((frame) => {
        if (frame.token === token) {
          progress.report({ message: progressOf(frame) });
        }
      });
      cancelled.onCancellationRequested(() => running.cancel());
      const { start, end } = selection;
      const range = { start: positionOf(start), end: positionOf(end) };
      const argument = { uri: this.server.uriOf(document), version, range, instruction, seed: numRetries, token, apply: false };
      const request = { command: 'seedling.rewrite', arguments: [argument] };
      try {
        return await this.server.ask<Rewritten>('workspace/executeCommand', request, running.token);
      } finally {
        frames.dispose();
      }
    });
  }
}

function positionOf({ line, character }: vscode.Position): { line: number; character: number } {
  return { line, character };
}
