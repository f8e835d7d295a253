/**
 * Read-only documents that are made of text in memory: both sides of a rewrite's preview, and the steps of a canvas in
 * words. Output channels would not do: VS Code keeps what they hold in files, and code is not logged.
 */
import * as vscode from 'vscode';

export class VirtualTexts implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly texts = new Map<string, string>();
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly registration: vscode.Disposable;

  constructor(private readonly scheme: string) {
    this.registration = vscode.workspace.registerTextDocumentContentProvider(scheme, this);
  }

  /** The address of a document with this name; `id` tells apart those of one name. */
  uri(name: string, id: string): vscode.Uri {
    return vscode.Uri.from({ scheme: this.scheme, path: `/${name}`, query: id });
  }

  set(uri: vscode.Uri, text: string): void {
    this.texts.set(uri.toString(), text);
    this.changed.fire(uri);
  }

  delete(uri: vscode.Uri): void {
    this.texts.delete(uri.toString());
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.toString()) ?? '';
  }

  dispose(): void {
    this.registration.dispose();
    this.changed.dispose();
  }
}
