"""Documents that are never sent to an engine, and the reason.

Source: what users of other completion tools ask for most (secrets, huge or minified files, an editor's own input
boxes). The engine may be remote, so this is decided before anything else looks at the text. Left out: reading ignore
files (ignored.py).
"""

import re
from fnmatch import fnmatchcase, translate
from functools import lru_cache

from lsp_server.ignored import FILE_NAME as IGNORE_FILE
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.settings import Settings
from lsp_server.snapshot import Snapshot
from lsp_server.uris import uri_path, uri_scheme

SCHEMES = frozenset({"file", "untitled", "vscode-notebook-cell", "vscode-vfs", "vscode-remote"})
MAX_LINE_CHARS = 1_000
# Linguist's limit for "minified" (of the mean there): what people write has lines of 25 to 45 characters.
MAX_USUAL_LINE_CHARS = 110
MIN_DENSE_CHARS = 5_000
NUM_SAMPLED_LINES = 200
NUM_SAMPLED_CHARS = 8_000
MAX_UNPRINTABLE_SHARE = 0.1

# Controls but tab, line ends, form feed and the separators that old sources hold.
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\x80-\x84\x86-\x9f\ufffd]")

SECRETS = (
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    ".git-credentials",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.gpg",
    "*.asc",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "credentials",
    "credentials.json",
    "secrets.*",
    "*.tfvars",
    "*.tfstate",
    ".ssh",
    ".gnupg",
    ".aws",
)


def exclusion(snapshot: Snapshot, settings: Settings) -> Outcome | None:
    """Why this document is not completed, or None."""
    document = snapshot.document
    scheme = uri_scheme(document.uri)
    if scheme not in SCHEMES:
        return nothing(Reason.FOREIGN_SCHEME, scheme)
    # Secrets anywhere in the whole path (~/.ssh/config is outside every workspace), the user's below the workspace.
    pattern = matching_pattern(uri_path(document.uri), SECRETS) or matching_pattern(snapshot.path, settings.exclude)
    if pattern is not None or snapshot.is_ignored:
        return nothing(Reason.EXCLUDED, pattern or IGNORE_FILE)
    num_chars = document.num_chars
    # A character has at most four bytes: only files near the limit are encoded to be measured.
    if num_chars > settings.max_file_bytes or (
        num_chars * 4 > settings.max_file_bytes
        and len(document.text.encode("utf-8", "surrogatepass")) > settings.max_file_bytes
    ):
        return nothing(Reason.HUGE_FILE)
    if is_binary(document.lines):
        return nothing(Reason.BINARY)
    return nothing(Reason.MINIFIED) if is_dense(document.lines) else None


def is_dense(lines: tuple[str, ...]) -> bool:
    """Whether the first lines are longer than people write them. Their median: one line of data is no minified file."""
    widths = sorted(map(len, lines[:NUM_SAMPLED_LINES]))
    return sum(widths) > MIN_DENSE_CHARS and widths[(len(widths) - 1) // 2] > MAX_USUAL_LINE_CHARS


def is_binary(lines: tuple[str, ...]) -> bool:
    """Whether these are no lines of text: NUL anywhere in the first lines, or one character in ten is unprintable.

    Only the beginning is looked at, as Git does: what is no text is none from its start on. U+FFFD (bytes that were no
    UTF-8) counts as unprintable, so a wrong encoding of a few accents passes and one of the whole file does not.
    """
    start = "".join(lines[:NUM_SAMPLED_LINES])[:NUM_SAMPLED_CHARS]
    return "\0" in start or len(_UNPRINTABLE.findall(start)) > MAX_UNPRINTABLE_SHARE * len(start)


def matching_pattern(path: str, patterns: tuple[str, ...]) -> str | None:
    """The first of `patterns` that the path, a folder above it, or the bare name of either matches (case ignored).

    As in a `.gitignore`, one that begins with a slash means what lies at the top: no bare names.
    """
    if not patterns:
        return None
    path = path.lower()
    paths = [path, *(path[:index] for index, character in enumerate(path) if character == "/" and index > 0)]
    anywhere, from_top = {*paths, *path.split("/")}, {f"/{one}" for one in paths}
    loose, anchored = _any_of(patterns)
    if not any(map(loose.match, anywhere)) and not any(map(anchored.match, from_top)):
        return None
    return next(
        pattern
        for pattern in patterns
        if any(fnmatchcase(one, _plain(pattern)) for one in (from_top if pattern.startswith("/") else anywhere))
    )


@lru_cache(maxsize=16)
def _any_of(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The patterns for anywhere as one, and those for the top: they are asked at every keystroke, and about every file
    that might be read."""
    anchored = [pattern for pattern in patterns if pattern.startswith("/")]
    loose = [pattern for pattern in patterns if not pattern.startswith("/")]
    return _one_of(loose), _one_of(anchored)


def _one_of(patterns: list[str]) -> re.Pattern[str]:
    matches_nothing = "(?!)"
    return re.compile("|".join(translate(_plain(pattern)) for pattern in patterns) or matches_nothing)


def _plain(pattern: str) -> str:
    return pattern.lower().rstrip("/").removeprefix("**/")
