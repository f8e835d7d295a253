#!/bin/bash
# The VS Code extension: its npm packages (when the lock file changed), types, bundle, VSIX.
#
# usage: build-extension.sh OUT.vsix
#
# Needs npm and node 20 or later. After the first run it needs no network.
set -euo pipefail
out=$(realpath -m "${1:?usage: build-extension.sh OUT.vsix}")
cd "$(dirname "$0")/../vscode"
command -v npm >/dev/null || { echo "build-extension.sh: npm is missing; install node 20 or later with npm." >&2; exit 1; }

if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error
fi
mkdir -p "$(dirname "$out")"
rm -f "$out"
npm run --silent package -- --out "$out"
[ -s "$out" ] || { echo "build-extension.sh: vsce made no $out." >&2; exit 1; }
