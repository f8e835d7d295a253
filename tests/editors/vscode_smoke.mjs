// The first thing a person does: opens a file, types, sees ghost text, presses Tab, saves.
// Usage: node vscode_smoke.mjs PLAN, a JSON object (test_vscode.py makes it and says what its fields mean).
// Prints one JSON object {typed, ghost, shown, accepted, seconds}. Leaves out every judgement about what was suggested.
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
  console.log(JSON.stringify({ typed, ghost, shown, accepted, seconds: hands.seconds }));
});
