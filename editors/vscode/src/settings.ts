/**
 * The settings, read anew at each use so that none goes stale. What each means is in package.json.
 */
import * as vscode from 'vscode';
import type { PipNetwork } from './pip';

type Scope = vscode.ConfigurationScope | undefined;

/** Whether ghost text may appear unasked. The user decides; a workspace may only switch it off. */
export function ghostTextEnabled(scope: Scope): boolean {
  const set = vscode.workspace.getConfiguration('seedling', scope).inspect<boolean>('enable');
  const user = set?.globalLanguageValue ?? set?.globalValue ?? true;
  const folder = set?.workspaceFolderLanguageValue ?? set?.workspaceFolderValue;
  const project = folder ?? set?.workspaceLanguageValue ?? set?.workspaceValue ?? true;
  return user && project;
}

export async function setGhostTextEnabled(enabled: boolean): Promise<void> {
  await vscode.workspace.getConfiguration('seedling').update('enable', enabled, vscode.ConfigurationTarget.Global);
}

/** Switches one language in the user's own settings, as `"[python]": {"seedling.enable": false}`. */
export async function setLanguageEnabled(languageId: string, enabled: boolean): Promise<void> {
  const settings = vscode.workspace.getConfiguration('seedling', { languageId });
  const generally = settings.inspect<boolean>('enable')?.globalValue ?? true;
  const value = enabled === generally ? undefined : enabled;
  await settings.update('enable', value, vscode.ConfigurationTarget.Global, true);
}

/**
 * What the server is told when it asks for its settings: exclusions from everywhere, and what the user has set here.
 * Defaults are left to the server, where the user's settings file may say otherwise.
 */
export function settingsForServer(): object {
  const settings = vscode.workspace.getConfiguration('seedling');
  const folders = (vscode.workspace.workspaceFolders ?? []).map((folder) =>
    vscode.workspace.getConfiguration('seedling', folder).inspect<string[]>('exclude'),
  );
  const everywhere = [settings.inspect<string[]>('exclude'), ...folders].flatMap((set) => [
    ...(set?.globalValue ?? []),
    ...(set?.workspaceValue ?? []),
    ...(set?.workspaceFolderValue ?? []),
  ]);
  const features = ['fix.enable', 'mend.enable', 'rewrite.enable', 'nextEdit.enable'];
  const set = ['confidence', 'multiLine', 'comments', 'context', ...features].flatMap((name) => {
    const value = settings.inspect(name)?.globalValue;
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(set), exclude: [...new Set(everywhere)] };
}

export function serverEnvironment(): Readonly<Record<string, string>> {
  return vscode.workspace.getConfiguration('seedling').get<Record<string, string>>('server.environment', {});
}

/** The server's command line, or empty when it is to be found on PATH or in the extension's own environment. */
export function serverCommand(): readonly string[] {
  return vscode.workspace.getConfiguration('seedling').get<string[]>('server.command', []);
}

/** VS Code's own settings of the network, for pip. */
export function pipNetwork(): PipNetwork {
  const http = vscode.workspace.getConfiguration('http');
  return {
    proxy: http.get<string>('proxy') ?? '',
    noProxy: http.get<string[]>('noProxy') ?? [],
    strictSsl: http.get<boolean>('proxyStrictSSL') ?? true,
  };
}
