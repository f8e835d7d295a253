// An installation that cannot succeed: the sentence, the ways back, what the status says, and that commands still work.
// Usage: node vscode_failed_install.mjs PLAN, a JSON object (test_vscode.py makes it and says what its fields mean).
// Prints one JSON object {status, sentence, buttons, again}.
import { inVsCode } from './vscode_driver.mjs';

const plan = JSON.parse(process.argv[2]);
await inVsCode(plan, async (hands) => {
  const { page, shot } = hands;
  await hands.openFile(plan.file);
  const question = page.locator('.notification-toast', { hasText: plan.question }).first();
  await question.waitFor();
  const status = await hands.untilSentence(/not installed/);
  await question.locator('.monaco-button', { hasText: plan.button }).first().click();
  const failure = page.locator('.notification-toast', { hasText: plan.failure }).first();
  await failure.waitFor();
  const sentence = await failure.locator('.notification-list-item-message').textContent();
  const buttons = await failure.locator('.monaco-button').allTextContents();
  await shot('failure');
  const first = await failure.elementHandle();
  await failure.locator('.monaco-button', { hasText: 'Retry' }).first().click();
  await page.waitForFunction((toast) => !toast.isConnected, first); // the next may be there at once
  await failure.waitFor();
  // The message stands unanswered, and the menu works all the same.
  await hands.status.click();
  const install = page.locator('.quick-input-list .monaco-list-row', { hasText: 'Install the language server' });
  await install.waitFor();
  const again = await install.textContent();
  await shot('menu');
  console.log(JSON.stringify({ status, sentence, buttons, again }));
});
