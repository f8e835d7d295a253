#!/bin/bash
# The VS Code extension: the server's wheel, npm packages (when the lock file changed), types, bundle, VSIX.
#
# usage: build-extension.sh [--offline] OUT.vsix
#
# The VSIX carries the wheel of Seedling; the extension installs it with pip into a folder of its own. --offline: it
# carries the wheels of all that the server needs too (hundreds of MB), for this platform and the Python that builds, and
# installs without any network. Needs npm, node 20 or later, and a Python 3.11 or newer with pip: PYTHON, else
# .venv/bin/python, else python3. After the first run it needs no network, until the server's files change.
set -euo pipefail
offline=
if [ "${1:-}" = --offline ]; then offline=--offline; shift; fi
out=${1:?usage: build-extension.sh [--offline] OUT.vsix}
mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
cd "$(dirname "$0")/../.."
fail() { echo "build-extension.sh: $*" >&2; exit 1; }
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=$(command -v python3) || fail "there is no Python; set PYTHON to a Python 3.11 or newer with pip."
command -v npm >/dev/null || fail "npm is missing; install node 20 or later with npm."

target=$("$python" editors/tools/bundle_server.py $offline)
cd editors/vscode
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error
fi
rm -f "$out"
npm run --silent package -- --out "$out" ${target:+--target "$target"}
[ -s "$out" ] || fail "vsce made no $out."
