/**
 * The denoise view as a page: a webview that draws the steps of one canvas. It holds no state of its own that would have
 * to outlive it: when it is shown again it is sent everything anew. Text goes into it as text, never as HTML; scripts and
 * styles come from the extension's media folder alone, and nothing is loaded from anywhere else.
 *
 * Left out: drawing (media/denoise.js, media/denoise.css).
 */
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import type { Step } from './canvas';
import type { Run, Viewer } from './denoiseView';

// The oldest steps of a longer run cannot be looked at again.
const MAX_STEPS = 1_000;

export class DenoisePage implements Viewer {
  private readonly panel: vscode.WebviewPanel;
  private run: Run | undefined;
  private steps: Step[] = [];
  private ending: string | undefined;

  constructor(extension: vscode.Uri, onClosed: () => void) {
    const media = vscode.Uri.joinPath(extension, 'media');
    this.panel = vscode.window.createWebviewPanel(
      'seedling.denoise',
      'Seedling: the Model Writes',
      { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      { enableScripts: true, localResourceRoots: [media], retainContextWhenHidden: false },
    );
    this.panel.onDidDispose(onClosed);
    // The page says when it is there: at first, and whenever it is made anew.
    this.panel.webview.onDidReceiveMessage(() => this.tellAll());
    this.panel.webview.html = pageOf(this.panel.webview, media);
  }

  begin(run: Run): void {
    [this.run, this.steps, this.ending] = [run, [], undefined];
    if (!this.panel.visible) {
      this.panel.reveal(undefined, true);
    }
    this.tellAll();
  }

  show(step: Step): void {
    this.steps = [...this.steps, step].slice(-MAX_STEPS);
    void this.panel.webview.postMessage({ step });
  }

  end(words: string): void {
    this.ending = words;
    void this.panel.webview.postMessage({ ending: words });
  }

  dispose(): void {
    this.panel.dispose();
  }

  private tellAll(): void {
    const { run, steps, ending } = this;
    void this.panel.webview.postMessage({ run, steps, ending });
  }
}

function pageOf(webview: vscode.Webview, media: vscode.Uri): string {
  const nonce = randomBytes(16).toString('base64');
  const uri = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(media, name)).toString();
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<link rel="stylesheet" href="${uri('denoise.css')}">
<title>Seedling: the Model Writes</title>
</head>
<body>
<h1 id="title"></h1>
<pre id="canvas" tabindex="0" aria-label="The canvas"></pre>
<p id="figures"></p>
<p><label>Step <input id="step" type="range" min="1" max="1" value="1"></label></p>
<p id="ending" role="status"></p>
<p id="legend" aria-label="Legend">
<span class="masked">░ masked</span>
<span class="draft level1">doubtful</span>
<span class="draft level2">so-so</span>
<span class="draft level3">likely</span>
<span class="draft level4">probable</span>
<span class="draft level5">sure</span>
<span class="draft level5 corrected">corrected</span>
<span class="committed">final</span>
<span class="locked">locked</span>
</p>
<script nonce="${nonce}" src="${uri('denoise.js')}"></script>
</body>
</html>`;
}
