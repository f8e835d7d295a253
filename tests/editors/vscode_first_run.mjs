// The first steps of editors/vscode/README.md, followed to the letter: chooses the button that they name, waits for the
// status, types the text that they name, presses the key that they name.
// Usage: node vscode_first_run.mjs PLAN, a JSON object (test_vscode.py makes it and says what its fields mean).
// Prints one JSON object {question, ghost, line, seconds}.
import { inVsCode } from './vscode_driver.mjs';

const plan = JSON.parse(process.argv[2]);
await inVsCode(plan, async (hands) => {
  const { page, shot } = hands;
  await hands.openFile(plan.file);
  const toast = page.locator('.notification-toast', { hasText: 'language server' }).first();
  await toast.waitFor();
  const question = await toast.locator('.notification-list-item-message').textContent();
  await shot('asked');
  await toast.locator('.monaco-button', { hasText: plan.button }).first().click();
  hands.mark('chosen');
  await page.locator('.notification-toast', { hasText: 'installing' }).first().waitFor();
  await shot('installing');
  await hands.untilReady(plan.readyMs);
  await hands.clickIntoFile();
  await page.keyboard.type(plan.text);
  // The engine's first answers may come too late to be shown: what a person does then is to wait, and type again.
  const came = await page.waitForSelector('.ghost-text-decoration', { timeout: 10_000 }).catch(() => null);
  if (came === null) {
    await hands.typeUntilGhostText([plan.text], 60_000);
  }
  await hands.untilStill();
  const ghost = await hands.ghostText();
  hands.mark('ghost text');
  await shot('ghost');
  const line = await hands.pressAndSee(plan.key);
  await shot('accepted');
  console.log(JSON.stringify({ question, ghost, line, seconds: hands.seconds }));
});
