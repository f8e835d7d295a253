"""The hole that another tool asks to have filled: its text before and after, and what can be known of its file.

These protocols know neither paths nor languages, and many clients write a hole as one prompt with the special tokens of
the model that they expect. Source: the formats of Zed (crates/edit_prediction/src/fim.rs), minuet-ai.nvim (recipes.md),
Continue (core/autocomplete/templating) and llama.vscode; Qwen2.5-Coder's report (arXiv 2409.12186) for files in front
of the hole. A prompt is read so only where it *ends* as such a format ends: code that merely mentions the tokens is
code. Left out: formats that hold edits (Zeta) or a conversation.
"""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

import msgspec

from model.engine import api
from model.lines import lines_of
from model.syntax.languages import language_of_suffix

MAX_SIDE_CHARS = 2**16
"""More than any context holds; what lies farther away is not even tokenized."""
MAX_SNIPPETS = 64
MAX_HEADER_LINES = 4
DEFAULT_LANGUAGE = "python"


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. is_infill: False where a text is to be gone on with, not a hole in code to be filled."""

    before: str
    after: str = ""
    path: str = ""
    language: str = DEFAULT_LANGUAGE
    snippets: tuple[api.Snippet, ...] = ()
    is_infill: bool = True


class _Format(NamedTuple):
    prefix: str
    suffix: str
    middle: str


# The prefix stands before the suffix in all of them; Codestral's, the other way round and without an end, is apart.
_FORMATS = (
    _Format("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen, CodeGemma
    _Format("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, and what Zed takes for unknown models
    _Format("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek
    _Format("<PRE> ", " <SUF>", " <MID>"),  # CodeLlama; the blanks belong to the format
    _Format("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
)
_CODESTRAL = re.compile(r"\A\[SUFFIX\](.*)\[PREFIX\](.*)\Z", re.DOTALL)
_FILE_MARK = "<|file_sep|>"
_REPOSITORY_MARK = "<|repo_name|>"
# In place of an empty suffix (Continue, packages/openai-adapters/src/apis/Inception.ts).
_NO_SUFFIX = "<|endoftext|>"

_COMMENT = r"(?:#|//|--|;|%|<!--|/\*|\"|')\s*"
_LANGUAGE_HEADER = re.compile(_COMMENT + r"language:\s*([\w+#.-]{1,40})\b.*")
_INDENTATION_HEADER = re.compile(_COMMENT + r"indentation:.*")
_PATH_HEADER = re.compile(_COMMENT + r"(?:path|file|filename|filepath):\s*([^\s:*?\"<>|]{1,200})\s*(?:-->|\*/)?", re.I)


def hole_of(prompt: str, suffix: str | None) -> Hole:
    """The hole of a prompt that may be written in a model's format, and of a suffix, where the client sends one."""
    if suffix is not None:
        return _described(prompt, "" if suffix == _NO_SUFFIX else suffix, ())
    codestral = _CODESTRAL.match(prompt)
    if codestral is not None:
        return _described(codestral[2], codestral[1], ())
    for form in _FORMATS:
        if prompt.rstrip("\n").endswith(form.middle.rstrip()):
            parts = _parts(prompt.rstrip("\n").removesuffix(form.middle).removesuffix(form.middle.rstrip()), form)
            if parts is not None:
                context, before, after = parts
                path, snippets = _files_before(context)
                hole = _described(before, after, snippets)
                return hole if hole.path or not path else _named(hole, path)
    hole = _described(prompt, "", ())
    return msgspec.structs.replace(hole, is_infill=False)


def hole_between(before: str, after: str, snippets: tuple[api.Snippet, ...]) -> Hole:
    """The hole of a protocol that has its sides and other files apart."""
    return _described(before, after, snippets[-MAX_SNIPPETS:])


def _parts(prompt: str, form: _Format) -> tuple[str, str, str] | None:
    """What stands before the format, before the hole, and after it."""
    context, mark, rest = prompt.partition(form.prefix)
    before, second_mark, after = rest.partition(form.suffix)
    return (context, before, after) if mark and second_mark else None


def _files_before(context: str) -> tuple[str, tuple[api.Snippet, ...]]:
    """The path of the hole's own file, where it has one, and the other files; a text without marks is no file."""
    if _FILE_MARK not in context:
        return "", ()
    files = context.removeprefix(_REPOSITORY_MARK).split(_FILE_MARK)[1:]
    pairs = [file.partition("\n") for file in files]
    own = pairs[-1][0].strip() if pairs and not pairs[-1][2].strip() else ""
    others = pairs[:-1] if own else pairs
    snippets = tuple(api.Snippet(path=path.strip(), text=text) for path, _, text in others if text.strip())
    return own, snippets[-MAX_SNIPPETS:]


def _described(before: str, after: str, snippets: tuple[api.Snippet, ...]) -> Hole:
    """The hole without the comments that clients put above a file (minuet's language and tab; a path)."""
    # Line ends are newlines in prompts.
    before, after = before.replace("\r\n", "\n"), after.replace("\r\n", "\n")
    path, language, before = _without_header(before)
    language = language or _language_of(path) or _common_language(snippets) or DEFAULT_LANGUAGE
    return Hole(
        before=before[-MAX_SIDE_CHARS:],
        after=after[:MAX_SIDE_CHARS],
        path=path,
        language=language,
        snippets=snippets,
    )


def _named(hole: Hole, path: str) -> Hole:
    return msgspec.structs.replace(hole, path=path, language=_language_of(path) or hole.language)


def _without_header(before: str) -> tuple[str, str, str]:
    """(path, language, the text below). Only minuet's lines are taken away: a comment with a path may be the file's."""
    path = language = ""
    lines = lines_of(before[:2_000])
    num_taken = 0
    for row, line in enumerate(lines[:MAX_HEADER_LINES]):
        text = line.strip()
        found = _LANGUAGE_HEADER.fullmatch(text)
        if found is not None and row == num_taken:
            language, num_taken = found[1].lower(), row + 1
        elif num_taken == row and row and _INDENTATION_HEADER.fullmatch(text):
            num_taken = row + 1
        elif (named := _PATH_HEADER.fullmatch(text)) is not None:
            path = named[1]
        else:
            break
    return path, language, before[sum(map(len, lines[:num_taken])) :]


def _language_of(path: str) -> str:
    suffix = PurePosixPath(path.replace("\\", "/")).suffix
    return language_of_suffix(suffix) if suffix else ""


def _common_language(snippets: tuple[api.Snippet, ...]) -> str:
    """The language of the other files, where they have one in common: seldom another than this file's."""
    languages = {_language_of(snippet.path) for snippet in snippets}
    return languages.pop() if len(languages) == 1 else ""
