#!/bin/bash
# VS Code for the editor tests: code-server (the open VS Code behind a web page) and the node it wants, from npm alone.
#
# usage: get-code-server.sh PREFIX       -> PREFIX/node/bin/node, PREFIX/node_modules/.bin/code-server
#
# Install scripts are skipped on purpose: they build kerberos and friends natively for minutes, and nothing here needs them
# (the terminal, file watcher and search parts come prebuilt inside their packages). Without them VS Code logs one harmless
# "Could not locate the bindings file" for its log-file writer. Needs npm and about 800 MB. Does nothing if the pinned
# version is already there.
set -euo pipefail
prefix=$(realpath -m "${1:?usage: get-code-server.sh PREFIX}")
code_server=4.139.1 # = VS Code 1.139.1
node=24.21.0        # the major version code-server asks for

[ "$(cat "$prefix/version" 2>/dev/null)" = "$code_server $node" ] && { echo "code-server $code_server"; exit 0; }
command -v npm >/dev/null || { echo "get-code-server.sh: npm is missing; install node 20 or later with npm." >&2; exit 1; }

rm -rf "$prefix"
mkdir -p "$prefix/fetch-node"
quiet=(--no-save --no-audit --no-fund --loglevel=error)
cd "$prefix/fetch-node"
echo '{"private":true}' > package.json
npm install "${quiet[@]}" "node@$node"
found=$(find "$prefix/fetch-node/node_modules" -path '*/bin/node' -size +1M -print -quit)
mv "$(dirname "$(dirname "$found")")" "$prefix/node"
cd "$prefix"
rm -rf fetch-node
export PATH="$prefix/node/bin:$PATH"
echo '{"private":true}' > package.json
npm install "${quiet[@]}" --ignore-scripts "code-server@$code_server"
cd node_modules/code-server/lib/vscode
npm install "${quiet[@]}" --ignore-scripts --omit=dev
cd extensions
npm install "${quiet[@]}" --ignore-scripts --omit=dev
echo "$code_server $node" > "$prefix/version"
echo "code-server $code_server"
