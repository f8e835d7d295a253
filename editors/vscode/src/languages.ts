/**
 * Which documents the server is told of: the languages whose syntax it knows, in files, unsaved documents and notebook
 * cells. Which of them the loaded model completes, the server knows; for the others it gives that as the reason.
 * The editor's own input boxes (chat, commit message) and read-only views are not among them.
 */
import * as vscode from 'vscode';

const LANGUAGES = [
  'python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact', 'go', 'rust', 'java', 'c', 'cpp',
]; // prettier-ignore
const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell'];

export const SELECTOR = LANGUAGES.flatMap((language) => SCHEMES.map((scheme) => ({ language, scheme })));

export function isServed(document: vscode.TextDocument): boolean {
  return LANGUAGES.includes(document.languageId) && SCHEMES.includes(document.uri.scheme);
}
