/**
 * The status bar item: a short label whose icon is the state, the reason in its tooltip, and a menu behind a click.
 */
import * as vscode from 'vscode';
import { ghostTextEnabled } from './settings';
import { type State, STOPPED } from './state';

const ICONS: Record<State['kind'], string> = {
  Normal: 'sparkle',
  Warning: 'warning',
  Error: 'error',
  Inactive: 'circle-slash',
};

export class StatusItem implements vscode.Disposable {
  private readonly item: vscode.StatusBarItem;
  private readonly editorListener: vscode.Disposable;
  private state: State = STOPPED;

  constructor() {
    this.item = vscode.window.createStatusBarItem('seedling.status', vscode.StatusBarAlignment.Right, 100);
    this.item.name = 'Seedling';
    this.item.command = 'seedling.showStatus';
    this.editorListener = vscode.window.onDidChangeActiveTextEditor(() => this.refresh());
    this.refresh();
    this.item.show();
  }

  show(state: State): void {
    this.state = state;
    this.refresh();
  }

  refresh(): void {
    const { kind, busy } = this.state;
    const off = kind === 'Normal' && !this.ghostText;
    this.item.text = `$(${busy ? 'loading~spin' : off ? ICONS.Inactive : ICONS[kind]}) Seedling`;
    this.item.tooltip = this.sentence;
    this.item.accessibilityInformation = { label: this.sentence, role: 'button' };
    this.item.backgroundColor =
      kind === 'Error' ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined;
  }

  get ghostText(): boolean {
    return ghostTextEnabled(vscode.window.activeTextEditor?.document);
  }

  get sentence(): string {
    const { kind, message } = this.state;
    const what = message !== '' ? message : kind === 'Normal' ? 'ready' : kind.toLowerCase();
    return `Seedling: ${what}${this.ghostText ? '' : ' (ghost text off)'}`;
  }

  dispose(): void {
    this.editorListener.dispose();
    this.item.dispose();
  }
}
