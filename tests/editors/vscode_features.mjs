// Everything else that the extension offers, in one browser session: parts of a suggestion, asking, switches, snooze, the
// menu, the language status, diagnostics, other extensions, the accessible view, a notebook, the walkthrough.
// Usage: node vscode_features.mjs PLAN, a JSON object (test_vscode.py makes it and says what its fields mean).
// Prints one JSON object with what was seen; test_vscode.py judges. A screenshot of every step is left in plan.shots.
import { readFileSync } from 'node:fs';
import { inVsCode } from './vscode_driver.mjs';

const plan = JSON.parse(process.argv[2]);
const seen = {};
const settings = () => JSON.parse(readFileSync(plan.settings, 'utf8'));

await inVsCode(plan, async (hands) => {
  const { page, press, shot, command } = hands;
  const gone = () => page.waitForFunction(() => document.querySelector('.ghost-text-decoration') === null);
  const drawn = () => page.waitForSelector('.ghost-text-decoration', { timeout: 20_000 });
  const menu = async () => {
    await hands.status.click();
    const rows = page.locator('.quick-input-list .monaco-list-row');
    await rows.filter({ hasText: 'Snooze' }).waitFor();
    return rows.allTextContents();
  };
  // Whether ghost text comes for a line that has it otherwise: the server is asked, and answers, within the wait.
  const staysQuiet = async () => {
    await hands.clearLastLine();
    await page.keyboard.type(plan.opening);
    const came = await page.waitForSelector('.ghost-text-decoration', { timeout: 2_500 }).catch(() => null);
    return came === null;
  };
  const comes = async () => {
    await hands.typeUntilGhostText([plan.opening], 90_000);
    return hands.untilStill();
  };

  // Another extension with ghost text is installed: said once.
  await hands.openFile(plan.file);
  await hands.clickIntoFile();
  await hands.untilReady(plan.readyMs);
  await hands.openFile(plan.foreign);
  await hands.openFile(plan.file);
  const toast = page.locator('.notification-toast', { hasText: 'may offer ghost text too' });
  await toast.waitFor();
  seen.others = await toast.locator('.notification-list-item-message').textContent();
  await shot('others');
  await toast.locator('.monaco-button', { hasText: "Don't Show Again" }).click();
  await toast.waitFor({ state: 'detached' });

  // A word, then the rest as a line.
  await hands.clickIntoFile();
  seen.shown = await comes();
  const whole = (await hands.ghostText()).length;
  await press('Control+ArrowRight');
  await page.waitForFunction((before) => {
    const ghost = [...document.querySelectorAll('.ghost-text-decoration')].map((part) => part.textContent).join('');
    return ghost !== '' && ghost.length < before;
  }, whole);
  seen.afterWord = { line: await hands.untilStill(), ghost: await hands.ghostText() };
  await shot('word');
  seen.afterLine = await hands.pressAndSee('Control+ArrowDown');
  await shot('line');
  hands.mark('parts');

  // The command for a whole suggestion (on a key of the user's), dismissing, asking by hand, cycling.
  await comes();
  seen.accepted = await hands.pressAndSee('Control+l');
  await comes();
  await press('Escape');
  await gone();
  await press('Alt+\\');
  await drawn();
  await hands.untilStill();
  await press('Alt+]');
  seen.cycled = await hands.untilStill();
  await shot('asked');
  // The accessible view reads the suggestion to a screen reader.
  await press('Alt+F2');
  const view = page.locator('.accessible-view .view-lines');
  await view.filter({ hasText: /\S/ }).waitFor(); // it is filled after it has come
  seen.accessibleView = (await view.textContent()).replaceAll('\u00a0', ' ');
  await shot('accessible-view');
  await press('Escape');
  await view.waitFor({ state: 'hidden' });
  hands.mark('asked');

  // Switched off everywhere: nothing comes, the status says so, asking works.
  await hands.clickIntoFile();
  await command('Seedling: Toggle Ghost Text');
  seen.off = await hands.untilSentence(/seedling\.enable/);
  seen.offQuiet = await staysQuiet();
  await press('Alt+\\');
  await drawn();
  seen.offAsked = await hands.untilStill();
  await shot('off');
  await command('Seedling: Toggle Ghost Text');
  await hands.untilSentence(/ready/);
  hands.mark('off and on');

  // For this language: in the user's settings.
  await command('Seedling: Toggle Ghost Text for This Language');
  seen.languageOff = await hands.untilSentence(/seedling\.enable/);
  seen.settingsLanguageOff = settings();
  await command('Seedling: Toggle Ghost Text for This Language');
  await hands.untilSentence(/ready/);
  seen.settingsLanguageOn = settings();

  // For this file: the server's; the menu says why.
  await command('Seedling: Toggle Ghost Text for This File');
  seen.documentOff = await hands.untilSentence(/document|file/);
  seen.documentQuiet = await staysQuiet();
  seen.menuDocumentOff = await menu();
  await shot('menu-file-off');
  await page.locator('.quick-input-list .monaco-list-row', { hasText: 'Switch on for this file' }).click();
  await hands.untilSentence(/ready/);
  hands.mark('language and file');

  // Snooze.
  await command('Seedling: Snooze');
  await page.locator('.quick-input-list .monaco-list-row', { hasText: '15 minutes' }).click();
  seen.snoozed = await hands.untilSentence(/snooze/);
  seen.snoozedQuiet = await staysQuiet();
  await page.locator('[id="status.languageStatus"]').first().click();
  const language = page.locator('.hover-language-status', { hasText: 'Seedling' });
  await language.first().waitFor();
  seen.languageStatus = await language.first().textContent();
  await shot('snoozed');
  await press('Escape');
  await command('Seedling: Snooze');
  await shot('snooze-menu');
  await page.locator('.quick-input-list .monaco-list-row', { hasText: 'End the snooze' }).click();
  await hands.untilSentence(/ready/);
  hands.mark('snooze');

  // Diagnostics: on the clipboard.
  await command('Seedling: Copy Diagnostics');
  await page.locator('.notification-toast', { hasText: 'diagnostics are on the clipboard' }).waitFor();
  seen.diagnostics = await page.evaluate(() => navigator.clipboard.readText());
  hands.mark('diagnostics');

  // A file in another language: the reason names it.
  await hands.openFile(plan.foreign);
  seen.foreign = await hands.untilSentence(/language|trained|complete/);
  // A notebook: ghost text in a cell.
  await hands.openFile(plan.notebook);
  const cells = page.locator('.notebookOverlay .code-cell-row .monaco-editor .view-lines');
  await cells.last().waitFor();
  await cells.last().click();
  await page.locator('.notebookOverlay .monaco-editor.focused').waitFor();
  await page.keyboard.type(plan.opening);
  await drawn();
  await hands.untilStill();
  seen.notebookGhost = await hands.ghostText();
  await shot('notebook');
  await hands.pressAndSee('Tab');
  await press('Control+s');
  await page.waitForFunction(() => document.querySelector('.tab.active.dirty') === null);
  hands.mark('notebook');

  // The walkthrough opens and holds its steps.
  await command('Seedling: First Steps');
  await page.locator('.getting-started-step .step-title, .getting-started-step').first().waitFor();
  seen.walkthrough = await page.locator('.getting-started-step').allTextContents();
  await shot('walkthrough');
  hands.mark('walkthrough');
});
seen.done = true;
console.log(JSON.stringify(seen));
