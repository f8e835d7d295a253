/**
 * The life of the language server: found, started, restarted, stopped; its state is told to one listener.
 * Restarts after a crash are vscode-languageclient's.
 */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { State as ClientState } from 'vscode-languageclient/node';
import { createClient } from './client';
import { type CommandLine, findServer } from './findServer';
import { failed, STARTING, type State, STOPPED } from './state';

export class Server {
  private client: LanguageClient | undefined;
  /** Starts and stops happen one after another, in the order they were asked for. */
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly onState: (state: State) => void,
  ) {}

  start(): Promise<void> {
    return this.then(() => this.startNow());
  }

  stop(): Promise<void> {
    return this.then(() => this.stopNow());
  }

  restart(): Promise<void> {
    return this.then(async () => {
      await this.stopNow();
      await this.startNow();
    });
  }

  private then(step: () => Promise<void>): Promise<void> {
    this.last = this.last.then(step, step);
    return this.last;
  }

  private async startNow(): Promise<void> {
    let command: CommandLine;
    try {
      command = findServer();
    } catch (error) {
      this.cannotStart(error);
      return;
    }
    this.onState(STARTING);
    this.log.info(`Starting ${[command.program, ...command.args].join(' ')}`);
    try {
      const folder = this.context.globalStorageUri;
      await vscode.workspace.fs.createDirectory(folder);
      const client = createClient(command, folder, this.log);
      this.client = client;
      client.onDidChangeState((change) => {
        // Of a running server the state is what it says itself.
        if (this.client === client && change.newState !== ClientState.Running) {
          this.onState(change.newState === ClientState.Starting ? STARTING : STOPPED);
        }
      });
      client.onNotification('didChangeStatus', (state: State) => this.onState(state));
      await client.start();
    } catch (error) {
      const message = `Seedling cannot start: ${command.program} failed. The log says why.`;
      this.cannotStart(new Error(message, { cause: error }));
    }
  }

  private async stopNow(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    try {
      // A client that never came to run has nothing to stop, and says so by throwing.
      await (client?.isRunning() ? client.stop() : undefined);
    } catch (error) {
      this.log.warn(`The server did not stop by itself: ${String(error)}`);
    }
    this.onState(STOPPED);
  }

  /** One message with what to do about it; not awaited, as it stands until somebody answers it. */
  private cannotStart(error: unknown): void {
    const { message, cause } = error as Error;
    this.log.error(message, ...(cause === undefined ? [] : [String(cause)]));
    this.onState(failed(message));
    const setPath = 'Set Path';
    const showLog = 'Show Log';
    void vscode.window.showErrorMessage(message, setPath, showLog).then((choice) => {
      if (choice === setPath) {
        // Beside remote files the server's program is a remote setting, on a page of its own.
        const page = vscode.env.remoteName === undefined ? 'openSettings' : 'openRemoteSettings';
        return vscode.commands.executeCommand(`workbench.action.${page}`, { query: 'seedling.server.command' });
      }
      if (choice === showLog) {
        this.log.show();
      }
      return undefined;
    });
  }
}
