/**
 * The order of actions in a menu. VS Code puts those that a model wrote (`isAI`, from the server's tag) behind all others,
 * and so "Ignore here" before the fix of the same hint: Enter would send the hint away for good. Marked like its fix, it
 * keeps its place behind it.
 */
import type * as vscode from 'vscode';

type Action = vscode.Command | vscode.CodeAction;
// The property is not in the published types; vscode-languageclient sets it.
type Marked = { isAI?: boolean; command?: vscode.Command };

const IGNORE = 'seedling.ignoreFinding';

export function inOrder<R extends readonly Action[] | null | undefined>(actions: R): R {
  const marked = (actions ?? []) as readonly Marked[];
  if (marked.some(({ isAI }) => isAI)) {
    marked.filter(({ command }) => command?.command === IGNORE).forEach((action) => (action.isAI = true));
  }
  return actions;
}
