// Writes out/THIRD_PARTY_NOTICES.txt: name, version and licence text of every package that the bundle may hold.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const shipped = Object.entries(packages).filter(([folder, entry]) => folder !== '' && !entry.dev && !entry.optional);
const notices = shipped.map(([folder, entry]) => {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (file === undefined) {
    throw new Error(`${folder} has no licence file; do not ship it.`);
  }
  const title = `${folder.replace(/^.*node_modules\//, '')} ${entry.version} (${entry.license})`;
  return `${title}\n${'-'.repeat(title.length)}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
});
mkdirSync('out', { recursive: true });
writeFileSync('out/THIRD_PARTY_NOTICES.txt', notices.join('\n\n'));
