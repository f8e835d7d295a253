// What the VS Code scripts share: a browser with the workbench, and a person's hands in it. Waits for conditions only.
import { join } from 'node:path';
import { chromium } from 'playwright-core';

/** Runs `act(hands)` in a fresh browser; a failure leaves a screenshot failed.png and is an exception. */
export async function inVsCode(plan, act) {
  const started = Date.now();
  const browser = await chromium.launchPersistentContext(plan.profile, {
    executablePath: plan.chromium,
    headless: true,
    viewport: { width: 1100, height: 650 },
    permissions: ['clipboard-read', 'clipboard-write'],
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.setDefaultTimeout(60_000);
  const hands = handsOn(page, plan, started);
  try {
    await page.goto(plan.url, { waitUntil: 'domcontentloaded', timeout: plan.readyMs }); // a cold start on a busy machine
    await page.waitForSelector('.monaco-workbench');
    hands.mark('workbench');
    await act(hands);
  } catch (error) {
    await hands.shot('failed');
    throw error;
  } finally {
    await browser.close();
  }
}

function handsOn(page, plan, started) {
  const seconds = {};
  const mark = (name) => {
    seconds[name] = (Date.now() - started) / 1000;
    console.error(`${seconds[name].toFixed(1)} s ${name}`);
  };
  // The mouse rests where nothing tells of itself.
  async function shot(name) {
    await page.mouse.move(600, 610);
    await page.waitForFunction(() => document.querySelector('.workbench-hover-container:not(:empty)') === null,
      undefined, { timeout: 3_000 }).catch(() => null);
    return page.screenshot({ path: join(plan.shots, `${name}.png`) });
  }
  const press = (key) => page.keyboard.press(key);
  const status = page.locator('.statusbar-item [aria-label^="Seedling: "]');
  const sentence = () => status.getAttribute('aria-label');
  const ghostText = () => page.evaluate(() =>
    [...document.querySelectorAll('.ghost-text-decoration')].map((part) => part.textContent).join('').replaceAll('\u00a0', ' '));
  const drawnLine = (withGhostText) => page.evaluate((withGhost) => {
    // Of a notebook's cells the one that is typed into.
    const lines = [...(document.querySelector('.cell .monaco-editor.focused') ?? document).querySelectorAll('.view-line')];
    const lowest = lines.reduce((low, line) => (parseInt(line.style.top) > parseInt(low.style.top) ? line : low));
    const line = lowest.cloneNode(true);
    if (!withGhost) {
      line.querySelectorAll('.ghost-text-decoration').forEach((part) => part.remove());
    }
    return line.textContent.replaceAll('\u00a0', ' ');
  }, withGhostText);
  // The lowest line as it is drawn, ghost text and all: what the line becomes when the ghost text is accepted.
  const lastLine = () => drawnLine(true);
  // The same without the ghost text: what is in the file.
  const written = () => drawnLine(false);

  // The denoise view's page.
  const view = page.frameLocator('iframe.webview').frameLocator('iframe#active-frame');
  // The text of an editor that shows all its lines; the editors of files; the menu of code actions.
  const linesOf = (editor) => editor.locator('.lines-content > .view-lines').evaluate((lines) =>
    [...lines.querySelectorAll('.view-line')]
      .sort((one, other) => parseInt(one.style.top) - parseInt(other.style.top))
      .map((line) => line.textContent.replaceAll('\u00a0', ' ')).join('\n').trimEnd());
  const file = page.locator('.editor-instance .monaco-editor').and(page.locator('[data-uri^="file:"], [data-uri^="vscode-remote:"]'));
  const actions = page.locator('.action-widget .monaco-list-row');
  const clean = () => page.waitForFunction(() => document.querySelector('.tab.active.dirty') === null);

  async function openFile(name) {
    await page.locator(`.explorer-folders-view .monaco-list-row[aria-label^="${name}"]`).dblclick();
    await page.waitForSelector(`.tab.active[data-resource-name="${name}"]`);
  }

  async function clickIntoFile() {
    await page.locator('.monaco-editor .view-lines').first().click();
    await page.waitForSelector('.part.editor .monaco-editor.focused');
  }

  /** Presses a key that changes the file; the last line once it has. Ghost text may be there again by then. */
  async function pressAndSee(key) {
    const before = await written();
    await press(key);
    return eventually(`${key} to change the last line`, written, (line) => line !== before);
  }

  /** What `look` sees as soon as `fits` says yes. */
  async function eventually(what, look, fits) {
    for (const end = Date.now() + 60_000; Date.now() < end; ) {
      const found = await look();
      if (fits(found)) {
        return found;
      }
      await page.evaluate(() => new Promise((done) => setTimeout(done, 50)));
    }
    throw new Error(`waited 60 s for ${what}`);
  }

  async function untilReady(timeout) {
    await status.waitFor();
    const settled = status.and(page.locator(':has(.codicon-sparkle), :has(.codicon-error)'));
    await settled.waitFor({ timeout });
    if ((await status.locator('.codicon-error').count()) > 0) {
      throw new Error(await sentence());
    }
    mark('engine ready');
  }

  /** The status bar's sentence once it matches. */
  async function untilSentence(pattern) {
    await page.waitForFunction(
      (source) => [...document.querySelectorAll('.statusbar-item [aria-label^="Seedling: "]')]
        .some((item) => new RegExp(source, 'i').test(item.getAttribute('aria-label'))),
      pattern.source,
    );
    return sentence();
  }

  async function command(title) {
    await press('F1');
    const input = page.locator('.quick-input-widget input[type="text"]');
    await input.fill(`>${title}`);
    await page.locator('.quick-input-list .monaco-list-row', { hasText: title }).first().click();
  }

  /** Puts the cursor at LINE:COLUMN. */
  async function goTo(place) {
    await press('Control+g');
    await page.locator('.quick-input-widget input[type="text"]').fill(`:${place}`);
    await press('Enter');
    await page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  }

  /** The rows of the code action menu at the cursor, opened until one of them holds `text`. */
  async function menuWith(text) {
    return eventually(`the menu with ${text}`, async () => {
      await press('Escape');
      await press('Control+.');
      await actions.first().waitFor({ timeout: 15_000 }).catch(() => null);
      return actions.allTextContents();
    }, (rows) => rows.some((row) => row.includes(text)));
  }

  async function clearLastLine() {
    await press('Escape');
    await press('Control+End');
    await press('Shift+Home');
    await press('Delete');
    await page.waitForFunction(() => document.querySelector('.ghost-text-decoration') === null);
  }

  /** Types one opening after the other into the last line until one gets ghost text that stays; returns it. */
  async function typeUntilGhostText(openings, timeoutMs) {
    const end = Date.now() + timeoutMs;
    for (let round = 0; Date.now() < end; round++) {
      const opening = openings[round % openings.length];
      await clearLastLine();
      await page.keyboard.type(opening);
      try {
        await page.waitForSelector('.ghost-text-decoration', { timeout: 5_000 });
        await untilStill(10_000);
      } catch {
        continue; // the model has nothing to say about this line, or was too slow at first
      }
      return opening;
    }
    throw new Error(`no ghost text in ${timeoutMs / 1000} s`);
  }

  /** Ghost text asked for at an earlier key may still be replaced: the drawn line once it stands still. */
  async function untilStill(timeoutMs = 60_000) {
    let shown = await lastLine();
    const end = Date.now() + timeoutMs;
    for (let still = 0; still < 10; ) {
      if (Date.now() > end) {
        throw new Error(`no ghost text that stays in ${timeoutMs / 1000} s`);
      }
      await page.evaluate(() => new Promise((done) => setTimeout(done, 100)));
      const now = await lastLine();
      still = now === shown && (await ghostText()) !== '' ? still + 1 : 0;
      shown = now;
    }
    return shown;
  }

  return {
    page, seconds, mark, shot, press, status, sentence, ghostText, openFile, clickIntoFile, untilReady, untilSentence,
    command, pressAndSee, typeUntilGhostText, clearLastLine, untilStill, eventually, linesOf, file, goTo, actions, menuWith,
    clean, view,
  };
}
