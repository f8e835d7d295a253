/**
 * The last answers that VS Code was given, for finding the suggestion that a person took a part of. Few of each
 * document, newest first: what is on screen may be an answer older than the last.
 */
import type * as vscode from 'vscode';

const NUM_KEPT = 4;

export interface Given {
  readonly uri: string;
  readonly items: readonly vscode.InlineCompletionItem[];
}

export class Answers {
  private kept: Given[] = [];

  add(document: vscode.TextDocument, result: Answer): void {
    const items = Array.isArray(result) ? result : (result?.items ?? []);
    if (items.length > 0) {
      this.kept = [{ uri: document.uri.toString(), items }, ...this.kept].slice(0, NUM_KEPT);
    }
  }

  itemsFor(document: vscode.TextDocument): vscode.InlineCompletionItem[] {
    return this.kept.filter((given) => given.uri === document.uri.toString()).flatMap((given) => given.items);
  }
}

export type Answer = vscode.InlineCompletionItem[] | vscode.InlineCompletionList | null | undefined;
