/**
 * Tells the server which document has the focus (`textDocument/didFocus`, Copilot's method), so that its status can say
 * why there is no ghost text here.
 */
import * as vscode from 'vscode';
import { isServed } from './languages';
import type { Server } from './server';

export function focusedDocument(): vscode.TextDocument | undefined {
  return vscode.window.activeTextEditor?.document;
}

/** Without parameters: nothing that the server knows of has the focus. */
export async function tellFocus(server: Server): Promise<void> {
  const document = focusedDocument();
  const params = document !== undefined && isServed(document) ? { textDocument: { uri: server.uriOf(document) } } : {};
  await server.tell('textDocument/didFocus', params);
}
