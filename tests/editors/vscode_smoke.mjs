// The first thing a person does: opens a file, types, sees ghost text, presses Tab, saves; and mends a syntax error.
// Usage: node vscode_smoke.mjs PLAN, a JSON object (test_vscode.py makes it and says what its fields mean).
// Prints one JSON object {typed, ghost, shown, accepted, fix, watched, seconds}. Leaves out every judgement about what was suggested.
import { inVsCode } from './vscode_driver.mjs';

const plan = JSON.parse(process.argv[2]);
await inVsCode(plan, async (hands) => {
  const { page, mark, shot, press } = hands;
  await hands.openFile(plan.file);
  await hands.clickIntoFile();
  await hands.untilReady(plan.readyMs);
  const typed = await hands.typeUntilGhostText(plan.openings, plan.firstGhostTextMs);
  const shown = await hands.untilStill();
  mark('ghost text');
  const ghost = await hands.ghostText();
  await shot('ghost');

  const accepted = await hands.pressAndSee('Tab');
  await shot('accepted');
  await press('Control+s');
  await page.waitForFunction(() => document.querySelector('.tab.dirty') === null);
  mark('saved');

  // A quick fix at a syntax error; one undo takes it back.
  await hands.openFile(plan.broken);
  await hands.clickIntoFile();
  await hands.goTo('1:24');
  const broken = await hands.linesOf(hands.file);
  const menu = await hands.menuWith('Seedling: ');
  await shot('fix');
  await hands.actions.filter({ hasText: 'Seedling: ' }).first().click();
  const fixed = await hands.eventually('the fix', () => hands.linesOf(hands.file), (lines) => lines !== broken);
  await press('Control+z');
  await hands.clean();
  const unfixed = await hands.linesOf(hands.file);
  mark('fixed');

  // The model is watched while it writes.
  await hands.openFile(plan.watched);
  await hands.clickIntoFile();
  await press('Control+End');
  await hands.command('Seedling: Watch the Model Write');
  await hands.view.locator('#ending', { hasText: /\S/ }).waitFor();
  const watched = await hands.view.locator('#ending').textContent();
  await hands.view.locator('#step').focus();
  await press('ArrowLeft');
  await shot('watch');
  const fix = { broken, menu, fixed, unfixed };
  console.log(JSON.stringify({ typed, ghost, shown, accepted, fix, watched, seconds: hands.seconds }));
});
