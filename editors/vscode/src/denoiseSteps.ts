/**
 * The denoise view in words: a read-only document with one line a step, for screen readers and whoever prefers text.
 * The end is read out as a notification.
 */
import * as vscode from 'vscode';
import type { Step } from './canvas';
import type { Run, Viewer } from './denoiseView';
import { VirtualTexts } from './virtualTexts';

export class DenoiseSteps implements Viewer {
  private readonly texts = new VirtualTexts('seedling-steps');
  private readonly uri = this.texts.uri('Seedling: the Model Writes.txt', '');
  private readonly tabs = vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
    if (closed.some((tab) => this.isOurs(tab))) {
      this.onClosed();
    }
  });
  private lines: string[] = [];

  constructor(private readonly onClosed: () => void) {}

  begin(run: Run): void {
    this.lines = [run.title];
    this.write();
    const options = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true, preview: false };
    // VS Code forgets what is told of a document while that is being opened: the first steps are told again.
    void vscode.window.showTextDocument(this.uri, options).then(() => this.write());
  }

  show(step: Step): void {
    this.lines.push(step.words);
    this.write();
  }

  /** Notifications are read out by screen readers as they come. */
  end(words: string): void {
    this.lines.push(words);
    this.write();
    void vscode.window.showInformationMessage(`Seedling: ${words}`);
  }

  dispose(): void {
    this.tabs.dispose();
    void vscode.window.tabGroups.close(vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs.filter((tab) => this.isOurs(tab))));
    this.texts.dispose();
  }

  private write(): void {
    this.texts.set(this.uri, `${this.lines.join('\n')}\n`);
  }

  private isOurs({ input }: vscode.Tab): boolean {
    return input instanceof vscode.TabInputText && input.uri.toString() === this.uri.toString();
  }
}
