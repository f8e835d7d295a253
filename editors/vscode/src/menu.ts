/**
 * The menu behind the status bar item: first why nothing is shown here, in the server's words, then what can be done.
 */
import * as vscode from 'vscode';
import { focusedDocument } from './focus';
import type { Server } from './server';
import { ghostTextEnabled } from './settings';
import { NOT_INSTALLED, type ServerStatus } from './state';
import type { StatusItem } from './status';
import { isSnoozed } from './switches';

interface Action extends vscode.QuickPickItem {
  readonly command?: string;
}

export async function showStatus(server: Server, status: StatusItem): Promise<void> {
  const document = focusedDocument();
  const told = server.isRunning
    ? await server
        .execute<ServerStatus>('seedling.status', ...(document === undefined ? [] : [server.uriOf(document)]))
        .catch(() => undefined)
    : undefined;
  const choice = await vscode.window.showQuickPick(actions(status, told, document), {
    title: status.quiet ?? status.sentence,
    placeHolder: 'What to do?',
  });
  if (choice?.command !== undefined) {
    await vscode.commands.executeCommand(choice.command);
  }
}

function actions(status: StatusItem, told: ServerStatus | undefined, document?: vscode.TextDocument): Action[] {
  const why = status.quiet ?? told?.document?.sentence;
  const isOff = told?.document?.reason === 'document_off';
  const last = told?.last?.sentence;
  const language = document?.languageId ?? '';
  const missing = { label: '$(cloud-download) Install the language server', command: 'seedling.installServer' };
  return [
    ...(status.state === NOT_INSTALLED ? [missing] : []),
    { label: 'Ghost text in this file', kind: vscode.QuickPickItemKind.Separator },
    {
      label: why ? '$(circle-slash) None comes unasked, because:' : '$(sparkle) Comes as you type',
      detail: why || (last ? `The last time there was none: ${last}` : undefined),
      command: why ? 'seedling.showLog' : 'seedling.trigger',
    },
    { label: '$(sparkle) Suggest now', command: 'seedling.trigger' },
    { label: 'Switches', kind: vscode.QuickPickItemKind.Separator },
    {
      label: ghostTextEnabled(undefined) ? '$(circle-slash) Switch ghost text off' : '$(sparkle) Switch ghost text on',
      command: 'seedling.toggle',
    },
    ...(document === undefined
      ? []
      : [
          { label: `$(code) ${verb(!ghostTextEnabled(document))} for "${language}"`, command: 'seedling.toggleLanguage' },
          { label: `$(file) ${verb(isOff)} for this file`, command: 'seedling.toggleDocument' },
        ]),
    {
      label: told !== undefined && isSnoozed(told) ? `$(watch) Snoozed until ${time(told)} …` : '$(watch) Snooze …',
      command: 'seedling.snoozeGhostText',
    },
    { label: 'Help', kind: vscode.QuickPickItemKind.Separator },
    { label: '$(gear) Settings', command: 'seedling.openSettings' },
    { label: '$(book) Keys and first steps', command: 'seedling.openWalkthrough' },
    { label: '$(output) Show the log', command: 'seedling.showLog' },
    { label: '$(clippy) Copy diagnostics for a report', command: 'seedling.copyDiagnostics' },
    { label: '$(debug-restart) Restart the server', command: 'seedling.restart' },
  ];
}

function verb(on: boolean): string {
  return on ? 'Switch on' : 'Switch off';
}

function time(status: ServerStatus): string {
  return new Date((status.snoozedUntilS ?? 0) * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
