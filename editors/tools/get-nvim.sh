#!/bin/bash
# Neovim for the editor tests, on Debian bookworm or later, without touching the system's own packages.
#
# usage: get-nvim.sh PREFIX [SUITE]      -> PREFIX/bin/nvim
#
# Bookworm ships Neovim 0.7, Seedling needs 0.12. SUITE (default: sid) has it, but built against a newer libc, so the packages
# are unpacked, not installed: resolved in a private apt state that believes nothing is installed (libc then comes along),
# and the one binary is pointed at that libc with patchelf. Starting it through ld.so instead would break the terminal UI,
# which re-executes v:progpath. Needs apt, dpkg-deb and patchelf. Does nothing if PREFIX already holds Neovim 0.12 or later.
set -euo pipefail
prefix=$(realpath -m "${1:?usage: get-nvim.sh PREFIX [SUITE]}")
suite=${2:-sid}

new_enough() { "$prefix/bin/nvim" --clean --headless -u NONE +'if !has("nvim-0.12") | cquit 1 | endif' +qa >/dev/null 2>&1; }
if [ -x "$prefix/bin/nvim" ] && new_enough; then
  "$prefix/bin/nvim" --version | head -1
  exit 0
fi
for tool in apt-get dpkg-deb patchelf; do
  command -v "$tool" >/dev/null || {
    echo "get-nvim.sh: $tool is missing; install it, or install Neovim >= 0.12 yourself and set SEEDLING_NVIM to its path." >&2
    exit 1
  }
done
mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^http/) {print $i; exit}}' /etc/apt/sources.list 2>/dev/null || true)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -n "$mirror" ] && [ -e "$keyring" ] || {
  echo "get-nvim.sh: this is not a Debian machine; install Neovim >= 0.12 yourself and set SEEDLING_NVIM to its path." >&2
  exit 1
}

work=$prefix/.apt root=$prefix/root
rm -rf "$prefix"
mkdir -p "$work"/{lists/partial,cache/archives/partial,etc,none} "$root" "$prefix/bin"
printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$mirror" "$suite" "$keyring" > "$work/etc/s.sources"
: > "$work/status"
options=(-qq -o Dir::Etc::sourcelist="$work/etc/s.sources" -o Dir::Etc::sourceparts="$work/none"
  -o Dir::Etc::preferencesparts="$work/none" -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status"
  -o Dir::Cache="$work/cache" -o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)" -o APT::Update::Post-Invoke=)
apt-get "${options[@]}" update
apt-get "${options[@]}" -y --download-only install neovim
for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
rm -rf "$work"

loader=$(find "$root" -name 'ld-linux-*.so.*' -print -quit)
libraries=$(dirname "$(find "$root/usr/lib" -name 'libluajit-5.1.so*' -print -quit)")
patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries:$(dirname "$loader")" "$root/usr/bin/nvim"
cat > "$prefix/bin/nvim" <<S
#!/bin/sh
export VIMRUNTIME=$root/usr/share/nvim/runtime
exec $root/usr/bin/nvim --cmd 'set rtp^=$root/usr/lib/nvim,$libraries/nvim' "\$@"
S
chmod +x "$prefix/bin/nvim"
"$prefix/bin/nvim" --version | head -1
new_enough || { echo "get-nvim.sh: suite $suite has no Neovim >= 0.12." >&2; exit 1; }
