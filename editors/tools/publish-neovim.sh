#!/bin/bash
# Publishes editors/neovim, with its history, as a repository of its own: plugin managers want the plugin at the root.
#
# usage: publish-neovim.sh REMOTE [BRANCH]      REMOTE: a URL or path that git can push to; BRANCH: default main
#
# What is committed is published, nothing else. An ordinary push: it is refused where the branch holds other work.
set -euo pipefail
remote=${1:?usage: publish-neovim.sh REMOTE [BRANCH]}
branch=${2:-main}
case $remote in ./* | ../*) remote=$(realpath "$remote") ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
git subtree -h >/dev/null 2>&1 || [ $? -eq 129 ] || {
  echo "publish-neovim.sh: this git has no subtree command; Debian and others have it in the package git or git-subtree." >&2
  exit 1
}
[ -z "$(git status --porcelain -- editors/neovim)" ] || echo "publish-neovim.sh: changes in editors/neovim that are not committed stay here." >&2
commit=$(git subtree split -q --prefix=editors/neovim HEAD)
git push --quiet "$remote" "$commit:refs/heads/$branch"
echo "published $(git rev-parse --short "$commit") as $branch of $remote"
