/**
 * The entrance of the extension: it makes one server, one status bar item and the commands, and joins them.
 * All knowledge about code is in the language server; this is a thin client.
 */
import * as vscode from 'vscode';
import { registerCommands } from './commands';
import { Server } from './server';
import { StatusItem } from './status';

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel('Seedling', { log: true });
  const status = new StatusItem();
  server = new Server(context, log, (state) => status.show(state));
  context.subscriptions.push(log, status, ...registerCommands(server, log, status));
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('seedling.server')) {
        void server?.restart();
      } else if (change.affectsConfiguration('seedling.enable')) {
        status.refresh();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => server?.restart()),
  );
  await server.start();
}

export function deactivate(): Promise<void> | undefined {
  return server?.stop();
}
