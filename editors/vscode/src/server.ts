/**
 * The life of the language server: found or installed, started, restarted, stopped; its state is told to one listener.
 * Restarts after a crash are vscode-languageclient's.
 */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { State as ClientState } from 'vscode-languageclient/node';
import { Answers } from './answers';
import type { Frame } from './canvas';
import { createClient } from './client';
import { programEnvironment } from './engineToken';
import { type CommandLine, findServer } from './findServer';
import { Installer, openServerSetting } from './install';
import { serverCommand } from './settings';
import { failed, installing, NOT_INSTALLED, STARTING, type State, STOPPED } from './state';

export class Server {
  /** The last answers that VS Code was given; accept.ts finds in them what a person took. */
  readonly answers = new Answers();
  command: CommandLine | undefined;
  private readonly frames = new vscode.EventEmitter<Frame>();
  /** A canvas after one of its steps; whose it is, its token says. */
  readonly onFrame = this.frames.event;
  private client: LanguageClient | undefined;
  private readonly installer: Installer;
  /** Starts and stops happen one after another, in the order they were asked for. */
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly onState: (state: State) => void,
    private readonly onRunning: () => void,
  ) {
    this.installer = new Installer(context, log, (step) => onState(installing(step)), () => this.reinstall());
  }

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

  /** Makes the extension's own environment (anew), whatever else there is; then starts what is to be used. */
  reinstall(): Promise<void> {
    return this.then(async () => {
      await this.stopNow();
      if (this.installer.owned === undefined) {
        this.cannotStart(new Error('This package of the extension carries no server: install Seedling, or set its path.'));
        return;
      }
      if (await this.installer.install()) {
        await this.startNow();
      } else {
        this.onState(NOT_INSTALLED);
      }
    });
  }

  /** Stops the server and removes the environment that the extension made. */
  removeInstalled(): Promise<void> {
    return this.then(async () => {
      await this.stopNow();
      this.installer.owned?.removeAll();
      this.onState(NOT_INSTALLED);
    });
  }

  get isRunning(): boolean {
    return this.client?.isRunning() ?? false;
  }

  /** One of the server's own commands; throws if it does not run, or refuses. */
  async execute<R>(command: string, ...args: unknown[]): Promise<R> {
    if (!this.isRunning) {
      throw new Error('The language server is not running.');
    }
    return this.client!.sendRequest<R>('workspace/executeCommand', { command, arguments: args });
  }

  /** A request of a method that vscode-languageclient does not know; throws if the server does not run, or refuses. */
  async ask<R>(method: string, params: object, token: vscode.CancellationToken): Promise<R> {
    if (!this.isRunning) {
      throw new Error('The language server is not running.');
    }
    return this.client!.sendRequest<R>(method, params, token);
  }

  /** Tells the server something; a server that does not run need not know. */
  async tell(method: string, params: object): Promise<void> {
    if (this.isRunning) {
      await this.client!.sendNotification(method, params);
    }
  }

  uriOf(document: vscode.TextDocument): string {
    return this.client?.code2ProtocolConverter.asUri(document.uri) ?? document.uri.toString();
  }

  private then(step: () => Promise<void>): Promise<void> {
    this.last = this.last.then(step, step);
    return this.last;
  }

  private async startNow(): Promise<void> {
    await vscode.workspace.fs.createDirectory(this.context.globalStorageUri);
    try {
      this.command = await this.find();
    } catch (error) {
      this.cannotStart(error);
      return;
    }
    const { command } = this;
    if (command === undefined) {
      this.onState(NOT_INSTALLED);
      return;
    }
    this.onState(STARTING);
    this.log.info(`Starting ${[command.program, ...command.args].join(' ')}`);
    try {
      // The server runs in the extension's folder: never in the workspace, from which it could pick up files.
      const environment = await programEnvironment(this.context, this.log);
      const client = createClient(command, this.context.globalStorageUri, environment, this.log, this.answers);
      this.client = client;
      client.onDidChangeState((change) => {
        if (this.client !== client) {
          return;
        }
        if (change.newState === ClientState.Running) {
          this.onRunning(); // also after a crash; its state is what it says itself
        } else {
          this.onState(change.newState === ClientState.Starting ? STARTING : STOPPED);
        }
      });
      client.onNotification('didChangeStatus', (state: State) => this.onState(state));
      client.onNotification('seedling/canvas', (frame: Frame) => this.frames.fire(frame));
      await client.start();
    } catch (error) {
      await this.failedToRun(command, error);
    }
  }

  /** The user's program, else our own environment, renewed if need be; undefined: there is none yet, the user is asked. */
  private async find(): Promise<CommandLine | undefined> {
    const folders = (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
    const found = findServer(serverCommand(), process.env['PATH'] ?? '', folders);
    if (found !== undefined) {
      return found;
    }
    const { owned } = this.installer;
    if (owned === undefined) {
      throw new Error('Seedling cannot start: there is no program "seedling" on PATH. Install it, or set its path.');
    }
    if (!owned.isComplete) {
      if (!owned.existed) {
        // Not awaited: the question may stand unanswered, and meanwhile every command has to work.
        void this.installer.agreed().then((yes) => (yes ? this.reinstall() : undefined));
        return undefined;
      }
      if (!(await this.installer.install())) {
        return undefined;
      }
    }
    return { program: owned.program, args: ['serve'], source: 'extension' };
  }

  /** An environment of our own that does not run any more (its Python is gone, a package is damaged) is made anew, once. */
  private async failedToRun(command: CommandLine, error: unknown): Promise<void> {
    const { owned } = this.installer;
    if (command.source === 'extension' && owned !== undefined && !(await owned.runs(process.env))) {
      this.log.warn('The installed server does not run any more; it is installed anew.');
      if (await this.installer.install()) {
        return this.startNow();
      }
      this.onState(NOT_INSTALLED);
      return;
    }
    const message = `Seedling cannot start: ${command.program} failed. The log says why.`;
    this.cannotStart(new Error(message, { cause: error }));
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
        return openServerSetting();
      }
      if (choice === showLog) {
        this.log.show();
      }
      return undefined;
    });
  }
}
