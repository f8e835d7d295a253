// Rewrites with their preview, the denoise view as a page and in words, mended hints and next edits, in one browser session,
// with the scripted engine of vscode_engine.py.
// Usage: node vscode_edits.mjs PLAN, a JSON object (test_vscode.py makes it and says what its fields mean).
// Prints one JSON object with what was seen; test_vscode.py judges. A screenshot of every step is left in plan.shots.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inVsCode } from './vscode_driver.mjs';

const plan = JSON.parse(process.argv[2]);
const seen = {};
const onDisk = (name) => readFileSync(join(plan.workspace, name), 'utf8');

await inVsCode(plan, async (hands) => {
  const { page, press, shot, command, eventually, linesOf, file, goTo, actions, menuWith, clean, view } = hands;
  const toast = (text) => page.locator('.notification-toast', { hasText: text });
  const dismissToast = async (text) => {
    await toast(text).first().hover();
    await toast(text).first().locator('.codicon-notifications-clear').click();
    await toast(text).first().waitFor({ state: 'detached' });
  };
  const modified = page.locator('.monaco-diff-editor .editor.modified .monaco-editor');
  const saved = async (name) => {
    await press('Control+s');
    await clean();
    return onDisk(name);
  };
  const dirty = () => page.waitForSelector('.tab.active.dirty');
  // Asks for a rewrite as a person does.
  const rewrite = async (instruction) => {
    await command('Seedling: Rewrite Selection');
    await page.locator('.quick-input-title', { hasText: 'Seedling: Rewrite' }).waitFor();
    await page.keyboard.type(instruction);
    await page.locator('.quick-input-list .monaco-list-row.focused', { hasText: instruction }).waitFor();
    await press('Enter');
  };
  const previewed = (text) => eventually(`a preview with ${text}`, async () =>
    (await modified.count()) === 1 ? linesOf(modified) : '', (lines) => lines.includes(text));
  const title = () => page.locator('.tab.active').getAttribute('aria-label');

  await hands.openFile(plan.file);
  await hands.clickIntoFile();
  await hands.untilReady(plan.readyMs);
  await goTo('5:5');

  // A preview; another answer; rejected: nothing has changed.
  await rewrite('name the result');
  seen.preview = await previewed('result =');
  seen.title = await title();
  await shot('preview');
  await press('Control+r');
  seen.retried = await previewed('product =');
  seen.retriedTitle = await title();
  await shot('retried');
  await press('Escape');
  await modified.waitFor({ state: 'detached' });
  await clean();
  seen.rejected = onDisk(plan.file);
  await page.waitForSelector('.part.editor .monaco-editor.focused');
  hands.mark('rejected');

  // Accepted by the button, and taken back in one step.
  await rewrite('name the result');
  await previewed('result =');
  await page.locator('.editor-actions .action-label[aria-label^="Accept Rewrite"]').click();
  await modified.waitFor({ state: 'detached' });
  await dirty();
  seen.accepted = await linesOf(file.first());
  await shot('accepted');
  await press('Control+z');
  await clean();
  seen.undone = await linesOf(file.first());
  hands.mark('accepted');

  // The document changes under the preview (in a second editor): refused, and everything stays.
  await command('View: Split Editor Right');
  await eventually('a second editor', () => file.count(), (count) => count === 2);
  await press('Control+1');
  await rewrite('name the result');
  await previewed('result =');
  await file.locator('.lines-content > .view-lines').click();
  await press('Control+Home');
  await page.keyboard.type('#');
  await modified.locator('.lines-content > .view-lines').click();
  await press('Control+Enter');
  await toast('has changed meanwhile').waitFor();
  seen.refused = await toast('has changed meanwhile').textContent();
  seen.stillPreviewed = await modified.count();
  seen.afterRefusal = await linesOf(file);
  await shot('refused');
  await press('Control+w'); // closing it rejects it
  await modified.waitFor({ state: 'detached' });
  await dismissToast('has changed meanwhile');
  await press('Control+2');
  await press('Control+z');
  await clean();
  await press('Control+w');
  await eventually('one editor', () => file.count(), (count) => count === 1);
  hands.mark('refused');

  // Cancelled while it is written.
  await hands.openFile(plan.file);
  await hands.clickIntoFile();
  await goTo('5:5');
  await rewrite('take your time');
  await toast('take your time').waitFor();
  await toast('tokens').waitFor();
  seen.progress = await toast('take your time').textContent();
  await shot('progress');
  await toast('take your time').locator('.monaco-button', { hasText: 'Cancel' }).click();
  await toast('take your time').waitFor({ state: 'detached' });
  seen.cancelledPreviews = await modified.count();
  hands.mark('cancelled');

  // Watched, as a page.
  await hands.clickIntoFile();
  await goTo('6:5');
  await command('Seedling: Watch the Model Write');
  await view.locator('#ending', { hasText: 'correction' }).waitFor();
  seen.watched = await view.locator('#canvas').textContent();
  seen.ending = await view.locator('#ending').textContent();
  seen.figures = await view.locator('#figures').textContent();
  await view.locator('#step').focus();
  await press('ArrowLeft');
  await view.locator('#figures', { hasText: 'step 3' }).waitFor();
  seen.corrected = await view.locator('#canvas .corrected').allTextContents();
  await shot('watched');
  await press('ArrowLeft');
  await view.locator('#figures', { hasText: 'step 2' }).waitFor();
  seen.earlier = await view.locator('#canvas').textContent();
  seen.doubtful = await view.locator('#canvas .level1').allTextContents();
  hands.mark('watched');

  // In words, instead of the page.
  await press('Control+1');
  await page.waitForSelector('.part.editor .monaco-editor.focused');
  await command('Seedling: Watch the Model Write, in Words');
  const words = page.locator('.monaco-editor[data-uri^="seedling-steps:"]');
  seen.words = await eventually('the steps in words', async () => ((await words.count()) === 1 ? linesOf(words) : ''),
    (lines) => lines.includes('tokens/s'));
  seen.pages = await page.locator('iframe.webview').count();
  await shot('words');
  await press('Control+2');
  await press('Control+w');
  await words.waitFor({ state: 'detached' });
  hands.mark('in words');

  // A hint with its fix; ignored, it goes.
  await hands.openFile(plan.mend);
  await hands.clickIntoFile();
  await page.waitForSelector('.squiggly-hint');
  await goTo('2:13');
  seen.mendMenu = await menuWith('Ignore here');
  await shot('mend');
  await actions.filter({ hasText: 'Ignore here' }).click();
  await page.waitForFunction(() => document.querySelector('.squiggly-hint') === null);
  seen.toasts = await page.locator('.notification-toast').allTextContents();
  seen.ignored = await saved(plan.mend);
  hands.mark('mended');

  // The next edit: not taken while the list of words is open, taken by its key after that.
  await hands.openFile(plan.renamed);
  await hands.clickIntoFile();
  await goTo('1:11');
  await press('Delete');
  await page.keyboard.type('count');
  const hint = page.locator('.statusbar-item[id$="seedling.nextEdit"]');
  await hint.waitFor();
  seen.hint = await hint.textContent();
  await shot('next-edit');
  await press('Control+Space');
  await page.locator('.suggest-widget.visible').waitFor();
  await press('Alt+Enter');
  await press('Escape');
  await page.locator('.suggest-widget.visible').waitFor({ state: 'hidden' });
  await hint.waitFor();
  seen.beforeKey = await linesOf(file.first());
  await press('Alt+Enter');
  seen.afterKey = await eventually('the next edit to be made', () => linesOf(file.first()), (lines) => lines !== seen.beforeKey);
  hands.mark('next edit');
});
seen.done = true;
console.log(JSON.stringify(seen));
