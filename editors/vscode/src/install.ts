/**
 * Installing the server as the user sees it: asked once, then a notification with progress that can be cancelled; a
 * failure is one sentence with ways back. What is installed, and how, is environment.ts.
 */
import * as vscode from 'vscode';
import { Cancelled } from './childProcess';
import { type Bundle, OwnedEnvironment, readBundle } from './environment';
import { findPython } from './python';
import { pipNetwork } from './settings';

const PYTHON = 'seedling.python'; // in globalState: a program that a person chose on this machine, no setting of a project

export class Installer {
  readonly owned: OwnedEnvironment | undefined;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly onStep: (step: string) => void,
    private readonly onAgain: () => Promise<void>,
  ) {
    const bundle = readBundle(context.extensionPath);
    this.owned = bundle && new OwnedEnvironment(context.globalStorageUri.fsPath, bundle);
  }

  /** Asks for consent; false if the user does not want it now. */
  async agreed(): Promise<boolean> {
    const what = 'Install its language server into a folder of this extension? It needs Python 3.11 and about 1 GB of disk';
    const how = this.owned?.bundle.offline ? 'all it needs is in this extension' : 'pip downloads about 250 MB';
    const install = 'Install';
    const other = 'I Have It: Set Path';
    const choice = await vscode.window.showInformationMessage(`Seedling: ${what}; ${how}.`, install, other, 'Not Now');
    if (choice === other) {
      await openServerSetting();
    }
    return choice === install;
  }

  /** Installs, with progress; false if it was cancelled or failed, which the user is told. */
  async install(): Promise<boolean> {
    const { owned } = this;
    if (owned === undefined) {
      return false;
    }
    try {
      await this.installOnce(owned);
    } catch (error) {
      if (error instanceof Cancelled) {
        this.log.info('The installation was cancelled; nothing of it is left.');
      } else {
        const { message, cause } = error as Error;
        this.log.error(message, ...(cause === undefined ? [] : [(cause as Error).message]));
        void this.offerAgain(message);
      }
      return false;
    }
    owned.removeOthers();
    return true;
  }

  private async installOnce(owned: OwnedEnvironment): Promise<void> {
    const title = `Seedling: installing the language server ${owned.bundle.version}`;
    const location = vscode.ProgressLocation.Notification;
    await vscode.window.withProgress({ location, title, cancellable: true }, async (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      const onStep = (step: string) => {
        this.log.info(`Installation: ${step}`);
        progress.report({ message: step });
        this.onStep(step);
      };
      onStep('looking for Python');
      const python = await this.findPython(owned.bundle);
      this.log.info(`Installing ${owned.bundle.wheel} with ${python} into ${owned.folder}`);
      await owned.install(python, {
        environment: process.env,
        network: pipNetwork(),
        signal: abort.signal,
        onStep,
        onLine: (line) => this.log.debug(line),
      });
      this.log.info('The language server is installed.');
    });
  }

  private findPython(bundle: Bundle): Promise<string> {
    if (bundle.offline !== null && bundle.offline.platform !== `${process.platform}-${process.arch}`) {
      throw new Error(`This package of Seedling is for ${bundle.offline.platform}, not for ${process.platform}-${process.arch}.`);
    }
    return findPython({
      environment: process.env,
      folder: this.context.globalStorageUri.fsPath,
      workspaceFolders: (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath),
      chosen: this.context.globalState.get<string>(PYTHON),
      wanted: bundle.offline?.python,
    });
  }

  /** Not awaited by anybody: the message may stand unanswered. */
  private async offerAgain(sentence: string): Promise<void> {
    const retry = 'Retry';
    const choose = 'Choose Python…';
    const showLog = 'Show Log';
    const choice = await vscode.window.showErrorMessage(sentence, retry, choose, showLog);
    if (choice === showLog) {
      this.log.show();
    } else if (choice === choose) {
      const [program] = (await vscode.window.showOpenDialog({ title: 'A Python 3.11 or newer' })) ?? [];
      if (program !== undefined) {
        await this.context.globalState.update(PYTHON, program.fsPath);
        await this.onAgain();
      }
    } else if (choice === retry) {
      // A choice that did not fit is forgotten: the search is free again.
      await this.context.globalState.update(PYTHON, undefined);
      await this.onAgain();
    }
  }
}

export async function openServerSetting(): Promise<void> {
  // Beside remote files the server's program is a remote setting, on a page of its own.
  const page = vscode.env.remoteName === undefined ? 'openSettings' : 'openRemoteSettings';
  await vscode.commands.executeCommand(`workbench.action.${page}`, { query: 'seedling.server.command' });
}
