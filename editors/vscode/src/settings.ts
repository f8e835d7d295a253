/**
 * The settings, read anew at each use so that none goes stale. What each means is in package.json.
 */
import * as vscode from 'vscode';

type Scope = vscode.ConfigurationScope | undefined;

/** Whether ghost text may appear unasked. The user decides; a workspace may only switch it off. */
export function ghostTextEnabled(scope: Scope): boolean {
  const set = vscode.workspace.getConfiguration('seedling', scope).inspect<boolean>('enable');
  const user = set?.globalLanguageValue ?? set?.globalValue ?? true;
  const project =
    set?.workspaceFolderLanguageValue ?? set?.workspaceFolderValue ?? set?.workspaceLanguageValue ?? set?.workspaceValue ?? true;
  return user && project;
}

export async function setGhostTextEnabled(enabled: boolean): Promise<void> {
  await vscode.workspace.getConfiguration('seedling').update('enable', enabled, vscode.ConfigurationTarget.Global);
}

/** The server's command line, or empty when it is to be found on PATH. */
export function serverCommand(): readonly string[] {
  return vscode.workspace.getConfiguration('seedling').get<string[]>('server.command', []);
}
