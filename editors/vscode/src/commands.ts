/**
 * The commands. Accepting ghost text, whole or word by word, is VS Code's own (Tab, Ctrl+Right).
 */
import * as vscode from 'vscode';
import type { Server } from './server';
import { setGhostTextEnabled } from './settings';
import type { StatusItem } from './status';

export function registerCommands(
  server: Server,
  log: vscode.LogOutputChannel,
  status: StatusItem,
): vscode.Disposable[] {
  const toggle = () => setGhostTextEnabled(!status.ghostText);
  const restart = () => server.restart();
  const showLog = () => log.show();
  const trigger = () => vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
  const showStatus = async () => {
    const other = status.ghostText ? '$(circle-slash) Switch ghost text off' : '$(sparkle) Switch ghost text on';
    const items = [
      { label: other, run: toggle },
      { label: '$(debug-restart) Restart the server', run: restart },
      { label: '$(output) Show the log', run: showLog },
    ];
    const choice = await vscode.window.showQuickPick(items, { title: status.sentence });
    await choice?.run();
  };
  return Object.entries({ toggle, restart, showLog, trigger, showStatus }).map(([name, run]) =>
    vscode.commands.registerCommand(`seedling.${name}`, run),
  );
}
