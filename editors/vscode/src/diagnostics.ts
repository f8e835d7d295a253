/**
 * "Copy diagnostics for a report": versions, where the server comes from, its state, the settings, what `seedling doctor`
 * says. No code, no file names, no values of environment variables, and the home folder is written as "~".
 */
import * as os from 'node:os';
import * as vscode from 'vscode';
import { run } from './childProcess';
import { otherCompletions } from './coexistence';
import { programEnvironment } from './engineToken';
import { focusedDocument } from './focus';
import type { Server } from './server';
import { ghostTextEnabled, serverEnvironment, settingsForServer } from './settings';
import type { ServerStatus } from './state';
import type { StatusItem } from './status';

export async function copyDiagnostics(
  context: vscode.ExtensionContext,
  server: Server,
  status: StatusItem,
): Promise<void> {
  await vscode.env.clipboard.writeText(await diagnostics(context, server, status));
  void vscode.window.showInformationMessage('Seedling: the diagnostics are on the clipboard. They hold none of your code.');
}

async function diagnostics(context: vscode.ExtensionContext, server: Server, status: StatusItem): Promise<string> {
  const document = focusedDocument();
  const { command } = server;
  const lines = [
    `extension: ${context.extension.packageJSON.version}`,
    `editor: ${vscode.env.appName} ${vscode.version}, ${vscode.env.remoteName ?? 'local'}, ${vscode.env.uiKind === vscode.UIKind.Web ? 'web' : 'desktop'}`,
    `system: ${os.platform()} ${os.release()} ${os.arch()}, ${os.cpus().length} processors, ${Math.round(os.totalmem() / 2 ** 30)} GB`,
    `workspace: ${vscode.workspace.isTrusted ? 'trusted' : 'not trusted'}, ${vscode.workspace.workspaceFolders?.length ?? 0} folders`,
    `server: ${command === undefined ? 'none' : `${[command.program, ...command.args].join(' ')} (${command.source})`}`,
    `state: ${status.sentence}`,
    `document: ${document === undefined ? 'none' : `${document.languageId}, ${document.uri.scheme}, ${document.lineCount} lines`}`,
    `settings: ${JSON.stringify({ ...settingsForServer(), exclude: undefined, enable: ghostTextEnabled(document) })}`,
    `server.environment: ${Object.keys(serverEnvironment()).join(', ') || 'nothing'}`,
    `other completions: ${otherCompletions().map(({ name }) => name).join(', ') || 'none'}`,
    `status: ${await serverStatus(server, document)}`,
    ...(command?.args[0] === 'serve' ? ['doctor:', ...(await doctor(context, command.program))] : []),
  ];
  return lines.join('\n').replaceAll(os.homedir(), '~') + '\n';
}

/** Without the document's name. */
async function serverStatus(server: Server, document: vscode.TextDocument | undefined): Promise<string> {
  try {
    const told = await server.execute<ServerStatus>('seedling.status', ...(document ? [server.uriOf(document)] : []));
    return JSON.stringify({ ...told, uri: undefined, document: told.document && { ...told.document, uri: undefined } });
  } catch (error) {
    return (error as Error).message;
  }
}

async function doctor(context: vscode.ExtensionContext, program: string): Promise<readonly string[]> {
  try {
    const environment = await programEnvironment(context);
    const folder = context.globalStorageUri.fsPath;
    return (await run(program, ['doctor'], { folder, environment, signal: AbortSignal.timeout(30_000) })).lines;
  } catch (error) {
    return [String(error)];
  }
}
