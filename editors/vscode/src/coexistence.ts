/**
 * Other extensions that offer ghost text: said once, never fought. VS Code asks all of them and shows one at a time, and
 * Tab accepts the one that is seen, so nothing breaks; but a person should know which of them writes.
 */
import * as vscode from 'vscode';

const TOLD = 'seedling.toldAbout';
const NEVER = '*';

interface Other {
  readonly id: string;
  readonly name: string;
}

const OTHERS: readonly Other[] = [
  { id: 'GitHub.copilot', name: 'GitHub Copilot' },
  { id: 'GitHub.copilot-chat', name: 'GitHub Copilot' },
  { id: 'TabbyML.vscode-tabby', name: 'Tabby' },
  { id: 'Continue.continue', name: 'Continue' },
  { id: 'Codeium.codeium', name: 'Windsurf (Codeium)' },
  { id: 'supermaven.supermaven', name: 'Supermaven' },
  { id: 'TabNine.tabnine-vscode', name: 'Tabnine' },
  { id: 'sourcegraph.cody-ai', name: 'Cody' },
  { id: 'ggml-org.llama-vscode', name: 'llama.vscode' },
  { id: 'Google.geminicodeassist', name: 'Gemini Code Assist' },
  { id: 'AmazonWebServices.amazon-q-vscode', name: 'Amazon Q' },
];

/** Those that run now. Copilot is part of VS Code; it counts unless it is switched off. */
export function otherCompletions(): readonly Other[] {
  const running = OTHERS.filter(({ id }) => vscode.extensions.getExtension(id)?.isActive);
  const copilot = vscode.workspace.getConfiguration().get<Record<string, boolean>>('github.copilot.enable')?.['*'] ?? true;
  const features = !vscode.workspace.getConfiguration('chat').get<boolean>('disableAIFeatures', false);
  const on = running.filter(({ name }) => name !== 'GitHub Copilot' || (copilot && features));
  return on.filter(({ name }, index) => on.findIndex((other) => other.name === name) === index);
}

/** Says it, once for each of them and never again if that is wished. */
export async function mentionOthers(context: vscode.ExtensionContext): Promise<void> {
  const told = context.globalState.get<string[]>(TOLD, []);
  const others = otherCompletions().filter(({ name }) => !told.includes(name));
  if (others.length === 0 || told.includes(NEVER)) {
    return;
  }
  await context.globalState.update(TOLD, [...told, ...others.map(({ name }) => name)]);
  const names = others.map(({ name }) => name).join(' and ');
  const whenAsked = 'Seedling Only When Asked';
  const show = `Show ${others[0]!.name}`;
  const never = "Don't Show Again";
  const message = `${names} may offer ghost text too. VS Code shows one suggestion at a time, and Tab takes the one you see.`;
  const choice = await vscode.window.showInformationMessage(message, show, whenAsked, never);
  if (choice === whenAsked) {
    await vscode.workspace.getConfiguration('seedling').update('enable', false, vscode.ConfigurationTarget.Global);
  } else if (choice === show) {
    await vscode.commands.executeCommand('workbench.extensions.search', `@installed ${others[0]!.id}`);
  } else if (choice === never) {
    await context.globalState.update(TOLD, [...told, NEVER]);
  }
}
