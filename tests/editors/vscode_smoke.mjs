// The first thing a person does: opens a file, types, sees ghost text, presses Tab, saves; and mends a syntax error.
// Usage: node vscode_smoke.mjs PLAN, a JSON object (test_vscode.py makes it and says what its fields mean).
// Prints one JSON object {typed, ghost, shown, accepted, fix, watched, knowing, seconds}. Leaves out every judgement about what was suggested.
import { readdirSync, readFileSync } from 'node:fs';
import { inVsCode } from './vscode_driver.mjs';

const plan = JSON.parse(process.argv[2]);

/** The command lines of all processes with the token in their environment. */
function processesWith(token) {
  const found = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`SEEDLING_ENGINE_TOKEN=${token}`)) {
        found.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      }
    } catch {
      // it has ended, or is another user's
    }
  }
  return found.join('\n');
}

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

  // The token of an engine on another machine: the server starts anew with it.
  await hands.command('Seedling: Set Engine Token');
  const secret = page.locator('.quick-input-widget input[type="password"]');
  await secret.fill(plan.token);
  await press('Enter');
  const knowing = await hands.eventually('the server with the token', () => processesWith(plan.token), (found) => found !== '');
  mark('token');
  const fix = { broken, menu, fixed, unfixed };
  console.log(JSON.stringify({ typed, ghost, shown, accepted, fix, watched, knowing, seconds: hands.seconds }));
});
