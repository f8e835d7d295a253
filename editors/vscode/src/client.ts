/**
 * The language client. On top of vscode-languageclient it holds two rules: in an untrusted workspace the server learns
 * of open documents only, and ghost text that nobody asked for stays away while it is switched off.
 */
import * as vscode from 'vscode';
import type { InitializeParams } from 'vscode-languageclient/node';
import { LanguageClient, RevealOutputChannelOn } from 'vscode-languageclient/node';
import type { CommandLine } from './findServer';
import { ghostTextEnabled, serverEnvironment, settingsForServer } from './settings';

/** `folder` is where the server runs: never the workspace, from which it could pick up files. */
export function createClient(command: CommandLine, folder: vscode.Uri, log: vscode.LogOutputChannel): LanguageClient {
  const options = { cwd: folder.fsPath, env: { ...process.env, ...serverEnvironment() } };
  const executable = { command: command.program, args: [...command.args], options };
  return new Client('seedling', 'Seedling', executable, {
    documentSelector: [
      { language: 'python', scheme: 'file' },
      { language: 'python', scheme: 'untitled' },
    ],
    outputChannel: log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    middleware: {
      provideInlineCompletionItems: (document, position, context, token, next) => {
        const asked = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
        return asked || ghostTextEnabled(document) ? next(document, position, context, token) : [];
      },
      workspace: {
        configuration: ({ items }) => items.map((item) => (item.section === 'seedling' ? settingsForServer() : null)),
        // It then asks for what changed, and gets the answer above.
        didChangeConfiguration: (_sections, next) => next(undefined),
        workspaceFolders: (token, next) => (vscode.workspace.isTrusted ? next(token) : null),
        didChangeWorkspaceFolders: async (event, next) => {
          if (vscode.workspace.isTrusted) {
            await next(event);
          }
        },
      },
    },
  });
}

class Client extends LanguageClient {
  protected override fillInitializeParams(params: InitializeParams): void {
    super.fillInitializeParams(params);
    if (!vscode.workspace.isTrusted) {
      params.rootPath = params.rootUri = params.workspaceFolders = null;
    }
  }
}
