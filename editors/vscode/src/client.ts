/**
 * The language client. On top of vscode-languageclient it holds two rules: in an untrusted workspace the server learns
 * of open documents only, and ghost text that nobody asked for stays away while it is switched off. And it tells how the
 * document is indented, which the specification leaves out and Copilot's clients send.
 */
import * as vscode from 'vscode';
import type { InitializeParams } from 'vscode-languageclient/node';
import { LanguageClient, RevealOutputChannelOn } from 'vscode-languageclient/node';
import { inOrder } from './actionOrder';
import type { Answers } from './answers';
import type { CommandLine } from './findServer';
import { SELECTOR } from './languages';
import { resolving } from './resolving';
import { ghostTextEnabled, settingsForServer } from './settings';

export function createClient(
  command: CommandLine,
  folder: vscode.Uri,
  env: NodeJS.ProcessEnv,
  log: vscode.LogOutputChannel,
  answers: Answers,
): LanguageClient {
  const options = { cwd: folder.fsPath, env };
  const executable = { command: command.program, args: [...command.args], options };
  return new Client('seedling', 'Seedling', executable, {
    documentSelector: SELECTOR,
    outputChannel: log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationOptions: { seedling: { preview: true } }, // the canvas after each step, for the denoise view
    middleware: {
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        const asked = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
        if (!asked && !ghostTextEnabled(document)) {
          return [];
        }
        const result = await next(document, position, context, token);
        answers.add(document, result);
        return result;
      },
      provideCodeActions: async (document, range, context, token, next) =>
        inOrder(await next(document, range, context, token)),
      sendRequest: (type, param, token, next) => {
        const method = typeof type === 'string' ? type : type.method;
        if (method === 'codeAction/resolve') {
          return resolving(param, token, (running) => next(type, param, running));
        }
        return next(type, method === 'textDocument/inlineCompletion' ? withIndentation(param) : param, token);
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

function withIndentation<P>(param: P | undefined): P | undefined {
  const uri = (param as { textDocument?: { uri?: string } } | undefined)?.textDocument?.uri;
  const options = vscode.window.visibleTextEditors.find(({ document }) => document.uri.toString() === uri)?.options;
  if (param === undefined || options === undefined) {
    return param;
  }
  return { ...param, formattingOptions: { tabSize: options.tabSize, insertSpaces: options.insertSpaces } };
}

class Client extends LanguageClient {
  protected override fillInitializeParams(params: InitializeParams): void {
    super.fillInitializeParams(params);
    if (!vscode.workspace.isTrusted) {
      params.rootPath = params.rootUri = params.workspaceFolders = null;
    }
  }
}
