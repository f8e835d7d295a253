/**
 * "Set engine token": the token of an engine on another machine lies in VS Code's secret store, never in the settings, and
 * reaches the server through the environment of its process. Where the engine is, the user's settings.toml says.
 */
import * as vscode from 'vscode';
import { problemOf, withToken } from './engineTokenText';
import { serverEnvironment } from './settings';

const KEY = 'seedling.engineToken';

export async function setEngineToken(context: vscode.ExtensionContext): Promise<void> {
  const had = (await context.secrets.get(KEY)) !== undefined;
  const typed = await vscode.window.showInputBox({
    title: 'Seedling: Token of the Engine on Another Machine',
    prompt: had ? 'It is kept in VS Code’s secret store. Empty: the token is removed.' : 'It is kept in VS Code’s secret store.',
    password: true,
    ignoreFocusOut: true,
    validateInput: problemOf,
  });
  const token = typed?.trim();
  if (token === undefined || (token === '' && !had)) {
    return;
  }
  await (token === '' ? context.secrets.delete(KEY) : context.secrets.store(KEY, token));
}

/** Calls `changed` when the token is another one, whichever window has set it. */
export function onEngineToken(context: vscode.ExtensionContext, changed: () => void): vscode.Disposable {
  return context.secrets.onDidChange(({ key }) => (key === KEY ? changed() : undefined));
}

/** The environment for the server, and for its program where it says how things are. */
export async function programEnvironment(
  context: vscode.ExtensionContext,
  log?: vscode.LogOutputChannel,
): Promise<NodeJS.ProcessEnv> {
  const environment = { ...process.env, ...serverEnvironment() };
  try {
    return withToken(environment, await context.secrets.get(KEY));
  } catch (error) {
    log?.warn(`VS Code's secret store cannot be read, so no engine token comes from it: ${String(error)}`);
    return environment;
  }
}
