/**
 * The denoise view: a canvas while it is written, as a page or, for screen readers, as words. It shows the newest run: a
 * watch, which opens it, or a rewrite while it is open. Closing it is told to whoever watches.
 */
import * as vscode from 'vscode';
import { type Ending, type Frame, lastStep, type Step, stepOf, summary } from './canvas';
import { DenoisePage } from './denoisePage';
import { DenoiseSteps } from './denoiseSteps';

export interface Run {
  readonly title: string;
  /** The code around the canvas, as far as it is shown. */
  readonly before: string;
  readonly after: string;
}

export interface Viewer extends vscode.Disposable {
  begin(run: Run): void;
  show(step: Step): void;
  end(words: string): void;
}

export class DenoiseView implements vscode.Disposable {
  private viewer: Viewer | undefined;
  private asWords = false;
  private token: Frame['token'] | undefined;
  private last: Frame | undefined;
  private numCorrected = 0;
  private readonly closed = new vscode.EventEmitter<void>();
  readonly onDidClose = this.closed.event;

  constructor(private readonly extension: vscode.Uri) {}

  /** Opens the view beside the editor, unless it is open in this form. VS Code tells nobody of a screen reader it found. */
  open(asWords: boolean): void {
    if (this.viewer !== undefined && this.asWords === asWords) {
      return;
    }
    this.forget()?.dispose();
    this.asWords = asWords;
    const onClosed = (): void => {
      if (this.viewer === viewer) {
        this.forget()?.dispose();
        this.closed.fire();
      }
    };
    const viewer: Viewer = asWords ? new DenoiseSteps(onClosed) : new DenoisePage(this.extension, onClosed);
    this.viewer = viewer;
  }

  /** A run whose frames will carry this token. Does nothing while the view is closed. */
  begin(token: Frame['token'], run: Run): void {
    [this.token, this.last, this.numCorrected] = [token, undefined, 0];
    this.viewer?.begin(run);
  }

  show(frame: Frame): void {
    if (frame.token !== this.token) {
      return; // of a run that is no longer shown, or of another client's
    }
    const step = stepOf(this.last, frame);
    this.last = frame;
    this.numCorrected += step.numCorrected;
    this.viewer?.show(step);
  }

  end(token: Frame['token'], ending: Ending): void {
    if (token === this.token) {
      this.token = undefined;
      const step = this.last && lastStep(this.last, ending);
      if (step !== undefined) {
        this.numCorrected += step.numCorrected;
        this.viewer?.show(step);
      }
      this.viewer?.end(summary(ending, this.last, this.numCorrected));
    }
  }

  dispose(): void {
    this.forget()?.dispose();
    this.closed.dispose();
  }

  private forget(): Viewer | undefined {
    const { viewer } = this;
    this.viewer = undefined;
    return viewer;
  }
}

/** Whether the person has told VS Code of a screen reader; one that VS Code finds by itself is not told to extensions. */
export function wantsWords(): boolean {
  return vscode.workspace.getConfiguration('editor').get<string>('accessibilitySupport') === 'on';
}
