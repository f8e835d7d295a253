/**
 * The entrance of the extension: it makes one server, one status item and the commands, and joins them.
 * All knowledge about code is in the language server; this is a thin client.
 */
import * as vscode from 'vscode';
import { mentionOthers } from './coexistence';
import { registerCommands } from './commands';
import { DenoiseView } from './denoiseView';
import { onEngineToken } from './engineToken';
import { tellFocus } from './focus';
import { NextEdits } from './nextEdit';
import { Rewrites } from './rewrite';
import { Server } from './server';
import type { State } from './state';
import { StatusItem } from './status';
import { Watch } from './watch';

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel('Seedling', { log: true });
  const status = new StatusItem();
  const onState = (state: State) => {
    status.show(state);
    nextEdits.onState(state);
    const ready = state.kind === 'Normal' && !state.busy;
    void vscode.commands.executeCommand('setContext', 'seedling.ready', ready);
    if (ready) {
      void mentionOthers(context);
    }
  };
  const running: Server = new Server(context, log, onState, () => void tellFocus(running));
  const nextEdits = new NextEdits(running);
  server = running;
  const view = new DenoiseView(context.extensionUri);
  const features = { nextEdits, rewrites: new Rewrites(running, view), watch: new Watch(running, view) };
  context.subscriptions.push(log, status, ...Object.values(features), view, running.onFrame((frame) => view.show(frame)));
  context.subscriptions.push(...registerCommands(context, running, log, status, features));
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('seedling.server')) {
        void running.restart();
      } else if (change.affectsConfiguration('seedling.enable')) {
        status.refresh();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => running.restart()),
    onEngineToken(context, () => void running.restart()),
    vscode.window.onDidChangeActiveTextEditor(async () => {
      await tellFocus(running);
      await mentionOthers(context); // that another extension has come to life is told by no event
    }),
  );
  // Not awaited: installing may take minutes, and meanwhile the commands have to work.
  void running.start();
}

export function deactivate(): Promise<void> | undefined {
  return server?.stop();
}
