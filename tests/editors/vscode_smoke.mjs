// Drives VS Code (code-server in a browser) as a person does: opens a file, types, sees ghost text, presses Tab, saves.
// Usage: node vscode_smoke.mjs PLAN, a JSON object (test_vscode.py makes it and says what its fields mean).
// Prints one JSON object {typed, ghost, shown, seconds}; a failure is an exception, with a screenshot failed.png.
// Waits for conditions only. Leaves out every judgement about what was suggested: test_vscode.py judges.
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const started = Date.now();
const seconds = {};
const mark = (name) => {
  seconds[name] = (Date.now() - started) / 1000;
  console.error(`${seconds[name].toFixed(1)} s ${name}`);
};

const browser = await chromium.launchPersistentContext(plan.profile, {
  executablePath: plan.chromium,
  headless: true,
  viewport: { width: 1100, height: 650 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const page = browser.pages()[0] ?? (await browser.newPage());
page.setDefaultTimeout(90_000);
const shot = (name) => page.screenshot({ path: join(plan.shots, `${name}.png`) });

try {
  await page.goto(plan.url, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector('.monaco-workbench');
  mark('workbench');
  await page.locator(`.explorer-folders-view .monaco-list-row[aria-label^="${plan.file}"]`).dblclick();
  await page.waitForSelector(`.tab[data-resource-name="${plan.file}"]`);
  await page.locator('.monaco-editor .view-lines').first().click();
  mark('file open');
  const status = page.locator('.statusbar-item [aria-label^="Seedling: "]');
  await status.waitFor();
  mark('extension active');
  const settled = status.and(page.locator(':has(.codicon-sparkle), :has(.codicon-error)'));
  await settled.waitFor({ timeout: plan.readyMs });
  if ((await status.locator('.codicon-error').count()) > 0) {
    throw new Error(await status.getAttribute('aria-label'));
  }
  mark('engine ready');

  const ghostText = () => page.evaluate(() =>
    [...document.querySelectorAll('.ghost-text-decoration')].map((part) => part.textContent).join(''));
  // The cursor's line as it is drawn, ghost text and all: what the line becomes when the ghost text is accepted.
  const lastLine = () => page.evaluate(() => {
    const lines = [...document.querySelectorAll('.monaco-editor .view-line')];
    const last = lines.reduce((low, line) => (parseInt(line.style.top) > parseInt(low.style.top) ? line : low));
    return last.textContent.replaceAll('\u00a0', ' ');
  });

  async function typeUntilGhostText() {
    const end = Date.now() + plan.firstGhostTextMs;
    for (let round = 0; Date.now() < end; round++) {
      const opening = plan.openings[round % plan.openings.length];
      await page.keyboard.press('Escape');
      await page.keyboard.press('Control+End');
      await page.keyboard.press('Shift+Home');
      await page.keyboard.press('Delete');
      await page.waitForFunction(() => document.querySelector('.ghost-text-decoration') === null);
      await page.keyboard.type(opening);
      try {
        await page.waitForSelector('.ghost-text-decoration', { timeout: 5_000 });
      } catch {
        continue; // the model has nothing to say about this line, or was too slow at first
      }
      return opening;
    }
    throw new Error(`no ghost text in ${plan.firstGhostTextMs / 1000} s`);
  }

  const typed = await typeUntilGhostText();
  // Ghost text asked for at an earlier key may still be replaced: wait until the drawn line stands still.
  let shown = await lastLine();
  for (let still = 0; still < 10; ) {
    await page.evaluate(() => new Promise((done) => setTimeout(done, 100)));
    const now = await lastLine();
    still = now === shown && (await ghostText()) !== '' ? still + 1 : 0;
    shown = now;
  }
  mark('ghost text');
  const ghost = await ghostText();
  await shot('ghost');

  await page.keyboard.press('Tab');
  await page.waitForFunction(() => document.querySelector('.tab.dirty') !== null);
  await shot('accepted');
  mark('accepted');
  await page.keyboard.press('Control+s');
  await page.waitForFunction(() => document.querySelector('.tab.dirty') === null);
  mark('saved');
  await shot('saved');
  console.log(JSON.stringify({ typed, ghost, shown, seconds }));
} catch (error) {
  await shot('failed');
  throw error;
} finally {
  await browser.close();
}
