/**
 * An action that was chosen in a menu, whose edit the server makes now. vscode-languageclient drops a refusal without a
 * word (error -32801 becomes a cancellation), and VS Code shows nothing either while a rewrite is written or after it was
 * refused: here the sentence is said, and a rewrite can be cancelled.
 */
import * as vscode from 'vscode';

type Ask<R> = (token: vscode.CancellationToken) => Promise<R>;

export async function resolving<R>(action: unknown, token: vscode.CancellationToken | undefined, ask: Ask<R>): Promise<R> {
  const { kind, title, data } = action as { kind?: string; title?: string; data?: unknown };
  if (data === undefined) {
    return action as R; // a command and nothing to be made; VS Code asks all the same
  }
  const running = new vscode.CancellationTokenSource();
  const given = token?.onCancellationRequested(() => running.cancel());
  try {
    if (!kind?.startsWith('refactor.rewrite')) {
      return await ask(running.token);
    }
    const options = { location: vscode.ProgressLocation.Notification, title: title ?? 'Seedling', cancellable: true };
    return await vscode.window.withProgress(options, (_progress, cancelled) => {
      cancelled.onCancellationRequested(() => running.cancel());
      return ask(running.token);
    });
  } catch (error) {
    if (!running.token.isCancellationRequested) {
      void vscode.window.showInformationMessage(`Seedling: ${(error as Error).message}`);
    }
    throw error;
  } finally {
    given?.dispose();
    running.dispose();
  }
}
