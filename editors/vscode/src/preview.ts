/**
 * The preview of a rewrite: VS Code's own diff of the document as it was asked about and as it would be, both read-only,
 * with accept, reject and retry in its title bar and on keys. The document itself is not touched before it is accepted:
 * users of an extension that wrote its proposal into the file lost track of what was theirs (cody#4879, cody#4671).
 * Accepting is one edit of the version that was asked about, else it is refused. Closing the preview rejects it.
 *
 * Left out: editing the proposal before it is accepted; it can be edited afterwards, or undone in one step.
 */
import * as vscode from 'vscode';
import { replaced, type Rewritten, titleOf } from './rewriteText';
import { VirtualTexts } from './virtualTexts';

// The keys' conditions in package.json name it.
const SCHEME = 'seedling-rewrite';

export interface Question {
  readonly document: vscode.TextDocument;
  readonly version: number;
  readonly selection: vscode.Selection;
  readonly viewColumn: vscode.ViewColumn | undefined;
  readonly instruction: string;
  /** From 0; the seed. */
  readonly numRetries: number;
}

interface Shown {
  readonly question: Question;
  readonly range: vscode.Range;
  readonly text: string;
  readonly left: vscode.Uri;
  readonly right: vscode.Uri;
}

export class Preview implements vscode.Disposable {
  private readonly texts = new VirtualTexts(SCHEME);
  private shown: Shown | undefined;
  private numShown = 0;
  private readonly tabs = vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
    const { shown } = this;
    if (shown !== undefined && closed.some((tab) => isOf(tab, shown))) {
      this.forget(shown);
    }
  });

  /** The question that the open preview answers. */
  get question(): Question | undefined {
    return this.shown?.question;
  }

  async show(question: Question, rewritten: Required<Pick<Rewritten, 'range' | 'text'>> & Rewritten): Promise<void> {
    const earlier = this.shown;
    const { document, instruction, numRetries, viewColumn } = question;
    const { start, end } = rewritten.range;
    const range = new vscode.Range(start.line, start.character, end.line, end.character);
    const name = vscode.workspace.asRelativePath(document.uri, false).split('/').at(-1) ?? 'code';
    const id = String(++this.numShown);
    const [left, right] = [this.texts.uri(name, `before-${id}`), this.texts.uri(name, `after-${id}`)];
    const before = document.getText();
    this.texts.set(left, before);
    const after = replaced(before, document.offsetAt(range.start), document.offsetAt(range.end), rewritten.text);
    this.texts.set(right, after);
    for (const uri of [left, right]) {
      const made = await vscode.workspace.openTextDocument(uri);
      if (made.languageId !== document.languageId) {
        await vscode.languages.setTextDocumentLanguage(made, document.languageId);
      }
    }
    this.shown = { question, range, text: rewritten.text, left, right };
    const title = titleOf(instruction, rewritten, numRetries + 1);
    const selection = new vscode.Range(range.start, range.start);
    await vscode.commands.executeCommand('vscode.diff', left, right, title, { viewColumn, preview: true, selection });
    await this.close(earlier);
    if (vscode.workspace.getConfiguration('editor').get('accessibilitySupport') === 'on') {
      void this.say(title);
    }
  }

  /** Applies it, in one step of undo; refused with a sentence where the document is another one by now. */
  async accept(): Promise<void> {
    const { shown } = this;
    if (shown === undefined) {
      return;
    }
    const { question, range, text } = shown;
    const { document, selection, version } = question;
    const edit = new vscode.WorkspaceEdit();
    edit.replace(document.uri, range, text);
    // VS Code checks the version once more, against what it holds by then.
    if (document.isClosed || document.version !== version || !(await vscode.workspace.applyEdit(edit))) {
      void vscode.window.showWarningMessage(
        'Seedling: not applied, the document has changed meanwhile. Reject the rewrite and ask again.',
      );
      return;
    }
    const end = document.positionAt(document.offsetAt(range.start) + normalized(text, document).length);
    await goTo(question, range.start, selection.isEmpty ? range.start : end);
    await this.close(shown);
  }

  /** Changes nothing; what was selected is selected. */
  async reject(): Promise<void> {
    const { shown } = this;
    if (shown !== undefined) {
      await goTo(shown.question, shown.question.selection.anchor, shown.question.selection.active);
      await this.close(shown);
    }
  }

  dispose(): void {
    this.tabs.dispose();
    this.texts.dispose();
  }

  private async close(shown: Shown | undefined): Promise<void> {
    if (shown === undefined) {
      return;
    }
    this.forget(shown);
    const open = vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs.filter((tab) => isOf(tab, shown)));
    await vscode.window.tabGroups.close(open, true);
  }

  private forget(shown: Shown): void {
    this.texts.delete(shown.left);
    this.texts.delete(shown.right);
    this.shown = this.shown === shown ? undefined : this.shown;
  }

  /** With a screen reader: what has come, read out, with the choices in reach. */
  private async say(title: string): Promise<void> {
    const choices = { Accept: 'acceptRewrite', Retry: 'retryRewrite', Reject: 'rejectRewrite' } as const;
    const { shown } = this;
    const chosen = await vscode.window.showInformationMessage(
      `Seedling: ${title}`,
      ...(Object.keys(choices) as (keyof typeof choices)[]),
    );
    if (chosen !== undefined && this.shown === shown) {
      await vscode.commands.executeCommand(`seedling.${choices[chosen]}`);
    }
  }
}

function isOf({ input }: vscode.Tab, { right }: Shown): boolean {
  return input instanceof vscode.TabInputTextDiff && input.modified.toString() === right.toString();
}

function normalized(text: string, document: vscode.TextDocument): string {
  return text.replaceAll(/\r?\n/g, document.eol === vscode.EndOfLine.CRLF ? '\r\n' : '\n');
}

/**
 * Back in the document, before the preview closes: once that is gone, nothing moves the focus any more. A notebook's cell
 * has no editor of its own to go to; closing the preview leads back to it.
 */
async function goTo(question: Question, anchor: vscode.Position, active: vscode.Position): Promise<void> {
  const { document, viewColumn } = question;
  if (document.isClosed || document.uri.scheme === 'vscode-notebook-cell') {
    return;
  }
  const editor = await vscode.window.showTextDocument(document, { viewColumn });
  editor.selection = new vscode.Selection(anchor, active);
  editor.revealRange(editor.selection, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}
