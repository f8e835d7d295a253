/**
 * The commands. Their names differ from those that the server offers (`seedling.snooze`, `seedling.status` …), which the
 * language client registers in VS Code by itself.
 */
import * as vscode from 'vscode';
import { acceptCommands } from './accept';
import { copyDiagnostics } from './diagnostics';
import { setEngineToken } from './engineToken';
import { showStatus } from './menu';
import type { NextEdits } from './nextEdit';
import type { Rewrites } from './rewrite';
import type { Server } from './server';
import type { StatusItem } from './status';
import { snooze, toggle, toggleDocument, toggleLanguage } from './switches';
import type { Watch } from './watch';

export interface Features {
  readonly nextEdits: NextEdits;
  readonly rewrites: Rewrites;
  readonly watch: Watch;
}

export function registerCommands(
  context: vscode.ExtensionContext,
  server: Server,
  log: vscode.LogOutputChannel,
  status: StatusItem,
  { nextEdits, rewrites, watch }: Features,
): vscode.Disposable[] {
  const editorCommand = (name: string) => async () => void (await vscode.commands.executeCommand(name));
  const commands: Record<string, () => unknown> = {
    ...acceptCommands(server),
    trigger: editorCommand('editor.action.inlineSuggest.trigger'),
    next: editorCommand('editor.action.inlineSuggest.showNext'),
    previous: editorCommand('editor.action.inlineSuggest.showPrevious'),
    dismiss: editorCommand('editor.action.inlineSuggest.hide'),
    acceptNextEdit: () => nextEdits.accept(),
    dismissNextEdit: () => nextEdits.dismiss(),
    suggestNextEdit: () => nextEdits.suggest(),
    rewriteSelection: () => rewrites.rewriteSelection(),
    acceptRewrite: () => rewrites.accept(),
    rejectRewrite: () => rewrites.reject(),
    retryRewrite: () => rewrites.retry(),
    watchModel: () => watch.start(),
    watchModelInWords: () => watch.start(true),
    toggle,
    toggleLanguage,
    toggleDocument: () => toggleDocument(server),
    snoozeGhostText: () => snooze(server),
    showStatus: () => showStatus(server, status),
    showLog: () => log.show(),
    copyDiagnostics: () => copyDiagnostics(context, server, status),
    setEngineToken: () => setEngineToken(context),
    restart: () => server.restart(),
    installServer: () => server.reinstall(),
    removeServer: () => server.removeInstalled(),
    openSettings: () => vscode.commands.executeCommand('workbench.action.openSettings', `@ext:${context.extension.id}`),
    openWalkthrough: () =>
      vscode.commands.executeCommand('workbench.action.openWalkthrough', `${context.extension.id}#start`, false),
  };
  return Object.entries(commands).map(([name, run]) =>
    vscode.commands.registerCommand(`seedling.${name}`, async () => {
      try {
        await run();
      } catch (error) {
        log.error(`seedling.${name}: ${String(error)}`);
        void vscode.window.showErrorMessage(`Seedling: ${(error as Error).message}`);
      }
    }),
  );
}
