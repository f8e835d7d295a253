/**
 * What is seen of Seedling's state: the item in the status bar (a short label whose icon is the state, the sentence in
 * its tooltip, a menu behind a click) and the entry in the language status of the focused document. Screen readers get
 * the whole sentence. Nothing is told by colour alone.
 */
import * as vscode from 'vscode';
import { focusedDocument } from './focus';
import { quietHere } from './here';
import { isServed, SELECTOR } from './languages';
import { ghostTextEnabled } from './settings';
import { type State, STOPPED } from './state';

const ICONS: Record<State['kind'], string> = {
  Normal: 'sparkle',
  Warning: 'warning',
  Error: 'error',
  Inactive: 'circle-slash',
};

export class StatusItem implements vscode.Disposable {
  state: State = STOPPED;
  private readonly bar = vscode.window.createStatusBarItem('seedling.status', vscode.StatusBarAlignment.Right, 100);
  private readonly language = vscode.languages.createLanguageStatusItem('seedling.document', SELECTOR);
  private readonly editorListener = vscode.window.onDidChangeActiveTextEditor(() => this.refresh());

  constructor() {
    this.bar.name = this.language.name = 'Seedling';
    this.bar.command = 'seedling.showStatus';
    this.language.command = { command: 'seedling.showStatus', title: 'Actions' };
    this.refresh();
    this.bar.show();
  }

  show(state: State): void {
    this.state = state;
    this.refresh();
  }

  refresh(): void {
    const { kind, busy } = this.state;
    const quiet = this.quiet;
    const off = kind === 'Normal' && quiet !== undefined;
    this.bar.text = `$(${busy ? 'loading~spin' : off ? ICONS.Inactive : ICONS[kind]}) Seedling`;
    this.bar.tooltip = this.sentence;
    this.bar.accessibilityInformation = { label: this.sentence, role: 'button' };
    this.bar.backgroundColor =
      kind === 'Error' ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined;
    this.language.text = quiet === undefined ? 'Seedling: ghost text on' : 'Seedling: no ghost text here';
    this.language.detail = quiet ?? '';
    this.language.busy = busy;
    this.language.severity =
      kind === 'Error' ? vscode.LanguageStatusSeverity.Error
      : kind === 'Warning' ? vscode.LanguageStatusSeverity.Warning
      : vscode.LanguageStatusSeverity.Information; // prettier-ignore
  }

  /** Why nothing is shown in the focused document. */
  get quiet(): string | undefined {
    const document = focusedDocument();
    return quietHere({
      document: document && {
        uri: document.uri.toString(),
        languageId: document.languageId,
        isServed: isServed(document),
      },
      enabled: ghostTextEnabled(document),
      state: this.state,
    });
  }

  get sentence(): string {
    const { kind, message } = this.state;
    return `Seedling: ${this.quiet ?? (message !== '' ? message : kind === 'Normal' ? 'ready' : kind.toLowerCase())}`;
  }

  dispose(): void {
    this.editorListener.dispose();
    this.bar.dispose();
    this.language.dispose();
  }
}
