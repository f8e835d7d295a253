// The first thing a person does: opens a file, types, sees ghost text, presses Tab, saves.
// Usage: node vscode_smoke.mjs PLAN, a JSON object (test_vscode.py makes it and says what its fields mean).
// Prints one JSON object {typed, ghost, shown, seconds}. Leaves out every judgement about what was suggested.
import { inVsCode } from './vscode_driver.mjs';

const plan = JSON.parse(process.argv[2]);
await inVsCode(plan, async (hands) => {
  const { page, mark, shot, press } = hands;
  await hands.openFile(plan.file);
  await page.locator('.monaco-editor .view-lines').first().click();
  await hands.untilReady(plan.readyMs);
  const typed = await hands.typeUntilGhostText(plan.openings, plan.firstGhostTextMs);
  const shown = await hands.untilStill();
  mark('ghost text');
  const ghost = await hands.ghostText();
  await shot('ghost');

  await press('Tab');
  await page.waitForFunction(() => document.querySelector('.tab.dirty') !== null);
  await shot('accepted');
  await press('Control+s');
  await page.waitForFunction(() => document.querySelector('.tab.dirty') === null);
  mark('saved');
  console.log(JSON.stringify({ typed, ghost, shown, seconds: hands.seconds }));
});
