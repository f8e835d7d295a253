/**
 * Switching ghost text off and on: everywhere and for a language (the user's settings), for one document and for a while
 * (the server's, until it ends).
 */
import * as vscode from 'vscode';
import { focusedDocument } from './focus';
import type { Server } from './server';
import { ghostTextEnabled, setGhostTextEnabled, setLanguageEnabled } from './settings';
import type { ServerStatus } from './state';

// Longer than any session; the server forgets a snooze when it ends.
const UNTIL_RESTART_MINUTES = 365 * 24 * 60;

export function toggle(): Promise<void> {
  return setGhostTextEnabled(!ghostTextEnabled(undefined));
}

export async function toggleLanguage(): Promise<void> {
  const document = focusedDocument();
  if (document === undefined) {
    void vscode.window.showInformationMessage('Seedling: open a file of the language first.');
    return;
  }
  await setLanguageEnabled(document.languageId, !ghostTextEnabled(document));
}

export async function toggleDocument(server: Server): Promise<void> {
  const document = focusedDocument();
  if (document === undefined) {
    void vscode.window.showInformationMessage('Seedling: open the file first.');
    return;
  }
  const uri = server.uriOf(document);
  const status = await server.execute<ServerStatus>('seedling.status', uri);
  await server.execute('seedling.setDocument', uri, status.document?.reason === 'document_off');
}

export async function snooze(server: Server): Promise<void> {
  const status = await server.execute<ServerStatus>('seedling.status');
  const end = { label: '$(play) End the snooze now', minutes: 0 };
  const choices = [
    ...(isSnoozed(status) ? [end] : []),
    ...[5, 15, 60].map((minutes) => ({ label: `$(watch) ${minutes} minutes`, minutes })),
    { label: '$(debug-restart) Until restart', minutes: UNTIL_RESTART_MINUTES },
  ];
  const choice = await vscode.window.showQuickPick(choices, { title: 'Seedling: No Ghost Text Unasked For …' });
  if (choice !== undefined) {
    await server.execute('seedling.snooze', choice.minutes);
  }
}

export function isSnoozed(status: ServerStatus): boolean {
  return typeof status.snoozedUntilS === 'number' && status.snoozedUntilS * 1000 > Date.now();
}
