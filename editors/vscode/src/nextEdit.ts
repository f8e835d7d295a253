/**
 * The next edit: asked for in pauses, drawn with decorations (VS Code's own next edits are a proposed interface, closed to
 * extensions), accepted with a key of its own. It never moves the cursor unasked: an edit out of sight is told of beside
 * the cursor, and accepting it goes there first. Any change of the document takes it away.
 *
 * Left out: Tab. Users complain that it no longer indents (vscode#252432); README.md says how to bind it.
 */
import * as vscode from 'vscode';
import { isServed } from './languages';
import { type Answer, drawn, editFor, hint, idOf, type InlineEdit } from './nextEditText';
import type { Server } from './server';
import type { State } from './state';

const METHOD = 'textDocument/copilotInlineEdit';
const VISIBLE = 'seedling.nextEditVisible';
// The server waits for a pause in typing itself; this only spares it a request for every key.
const DELAY_MS = 100;

export class NextEdits implements vscode.Disposable {
  private shown: { readonly editor: vscode.TextEditor; readonly edit: InlineEdit } | undefined;
  private isOn = false;
  private timer: NodeJS.Timeout | undefined;
  private running: vscode.CancellationTokenSource | undefined;
  private readonly gone = vscode.window.createTextEditorDecorationType({
    backgroundColor: new vscode.ThemeColor('diffEditor.removedTextBackground'),
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  });
  private readonly come = vscode.window.createTextEditorDecorationType({
    after: { backgroundColor: new vscode.ThemeColor('diffEditor.insertedTextBackground') },
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  });
  private readonly told = vscode.window.createTextEditorDecorationType({
    after: { color: new vscode.ThemeColor('editorCodeLens.foreground'), margin: '0 0 0 2em', fontStyle: 'italic' },
  });
  private readonly item = vscode.window.createStatusBarItem('seedling.nextEdit', vscode.StatusBarAlignment.Right, 0);
  private readonly subscriptions: vscode.Disposable[];

  constructor(private readonly server: Server) {
    this.item.name = 'Seedling: Next Edit';
    this.item.command = 'seedling.acceptNextEdit';
    this.subscriptions = [
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0 && document === vscode.window.activeTextEditor?.document) {
          this.hide();
          this.askSoon();
        }
      }),
      vscode.window.onDidChangeActiveTextEditor(() => this.hide()),
      vscode.window.onDidChangeTextEditorSelection(() => this.draw()),
      vscode.window.onDidChangeTextEditorVisibleRanges(() => this.draw()),
    ];
  }

  /** The server says with its status whether next edits are on. */
  onState(state: State): void {
    this.isOn = state.nextEdit === true && !state.busy;
    if (!this.isOn) {
      this.hide();
    }
  }

  /** Applies the edit; where it is out of sight, goes there instead. */
  async accept(): Promise<void> {
    const { shown } = this;
    if (shown === undefined || !this.stillFits(shown)) {
      this.hide();
      return;
    }
    const { editor, edit } = shown;
    const range = rangeOf(edit);
    if (!isInSight(editor, range)) {
      editor.selection = new vscode.Selection(range.start, range.start);
      editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
      return;
    }
    this.shown = undefined; // what it changes is no reason to hide anything else
    this.erase(editor);
    if (await editor.edit((builder) => builder.replace(range, edit.text))) {
      const end = range.start.translate(0, edit.text.includes('\n') ? 0 : edit.text.length);
      editor.selection = new vscode.Selection(end, end);
      if (edit.command !== undefined) {
        await this.server.execute(edit.command.command, ...(edit.command.arguments ?? []));
      }
    }
  }

  /** Takes the edit away for good: the server does not offer it again. */
  async dismiss(): Promise<void> {
    const { shown } = this;
    const id = shown && idOf(shown.edit);
    this.hide();
    if (id !== undefined) {
      await this.server.tell('notifyRejected', { uuids: [id] });
      await this.ask();
    }
  }

  /** Asks by hand: at once, and says why there is none. */
  async suggest(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (editor === undefined) {
      return;
    }
    const answer = await this.server.execute<Answer>('seedling.nextEdit', this.question(editor));
    if (!this.show(editor, answer)) {
      const sentence = answer.sentence || 'The document has changed meanwhile.';
      void vscode.window.showInformationMessage(`Seedling: ${sentence}`);
    }
  }

  dispose(): void {
    this.hide();
    vscode.Disposable.from(this.gone, this.come, this.told, this.item, ...this.subscriptions).dispose();
  }

  private askSoon(): void {
    clearTimeout(this.timer);
    if (this.isOn) {
      this.timer = setTimeout(() => void this.ask(), DELAY_MS);
    }
  }

  private async ask(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (!this.isOn || editor === undefined || !isServed(editor.document)) {
      return;
    }
    this.running?.cancel();
    const running = (this.running = new vscode.CancellationTokenSource());
    try {
      const answer = await this.server.ask<Answer>(METHOD, this.question(editor), running.token);
      if (this.running === running) {
        this.show(editor, answer);
      }
    } catch {
      // Cancelled, or the server has gone: its status says so.
    } finally {
      running.dispose();
    }
  }

  private question(editor: vscode.TextEditor): object {
    const { line, character } = editor.selection.active;
    const { document } = editor;
    return {
      textDocument: { uri: this.server.uriOf(document), version: document.version },
      position: { line, character },
    };
  }

  private show(editor: vscode.TextEditor, answer: Answer | null | undefined): boolean {
    this.hide();
    const edit = editFor(answer, this.server.uriOf(editor.document), editor.document.version);
    if (edit === undefined || editor !== vscode.window.activeTextEditor) {
      return false;
    }
    this.shown = { editor, edit };
    void vscode.commands.executeCommand('setContext', VISIBLE, true);
    this.draw();
    void this.server.tell('textDocument/didShowInlineEdit', { item: { command: edit.command } });
    return true;
  }

  private draw(): void {
    const { shown } = this;
    if (shown === undefined) {
      return;
    }
    const { editor, edit } = shown;
    const range = rangeOf(edit);
    const text = drawn(edit);
    const said = hint(edit, editor.selection.active.line);
    editor.setDecorations(this.gone, [range]);
    const after = { contentText: text };
    editor.setDecorations(this.come, text === '' ? [] : [{ range: emptyAt(range.end), renderOptions: { after } }]);
    const end = editor.document.lineAt(editor.selection.active.line).range.end;
    const beside = { range: emptyAt(end), renderOptions: { after: { contentText: said } } };
    editor.setDecorations(this.told, isInSight(editor, range) ? [] : [beside]);
    this.item.text = `$(edit) ${said}`;
    this.item.tooltip = 'The follow-up of your last change. Click to accept it.';
    this.item.show();
  }

  private hide(): void {
    clearTimeout(this.timer);
    this.running?.cancel();
    this.running = undefined;
    if (this.shown !== undefined) {
      this.erase(this.shown.editor);
      this.shown = undefined;
    }
  }

  private erase(editor: vscode.TextEditor): void {
    for (const decoration of [this.gone, this.come, this.told]) {
      editor.setDecorations(decoration, []);
    }
    this.item.hide();
    void vscode.commands.executeCommand('setContext', VISIBLE, false);
  }

  private stillFits({ editor, edit }: { editor: vscode.TextEditor; edit: InlineEdit }): boolean {
    return editor === vscode.window.activeTextEditor && editor.document.version === edit.textDocument.version;
  }
}

function rangeOf({ range: { start, end } }: InlineEdit): vscode.Range {
  return new vscode.Range(start.line, start.character, end.line, end.character);
}

function emptyAt(position: vscode.Position): vscode.Range {
  return new vscode.Range(position, position);
}

function isInSight(editor: vscode.TextEditor, range: vscode.Range): boolean {
  return editor.visibleRanges.some((visible) => visible.intersection(range) !== undefined);
}
