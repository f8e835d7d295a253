"""The prompts of foreign weights: a family's form (model/checkpoints/prompt_form.py) filled with a request's text.

A hole is asked for as its family was trained: the code below the cursor behind the canvas where the network sees it, in
front of the code above (SPM) where there are markers for it, else as comments. What comes of other files stands first,
as comments under their paths. Each part is cut to what the context leaves, in whole lines. A broken token at the cursor
is taken back as for our own weights, but of white space only the last character: foreign tokenizers join a space to the
word behind it, indentation included. Left out: edits that are asked for in words (chats.py), which abilities a family
has (its data), what a canvas's length becomes (model/diffusion).
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from model.checkpoints.prompt_form import PARTS
from model.diffusion.healing import TakenBack
from model.engine import api
from model.engine.encoder import LineEncoder
from model.engine.job import BadRequest
from model.engine.trimming import first_lines, last_lines
from model.foreign_tokenizer import ForeignTokenizer
from model.lines import lines_of

SHARES = (1.0, 0.85, 0.7, 0.5)
"""Of the room: lines are counted alone, and now and then their text has more tokens than the lines."""
HASH_LANGUAGES = frozenset(
    {"dockerfile", "elixir", "julia", "makefile", "perl", "python", "r", "ruby", "shellscript", "toml", "yaml"}
)
DASH_LANGUAGES = frozenset({"haskell", "lua", "sql"})

_LAST_WORD = re.compile(r"[\w]\Z")


class Filled(NamedTuple):
    """Ids before and behind the canvas, and the token at the cursor that is written anew."""

    before_ids: list[int]
    after_ids: list[int]
    taken_back: TakenBack | None = None


class Special(NamedTuple):
    name: str


class Cursor(NamedTuple):
    """Text that ends at the cursor."""

    text: str


def hole_prompt(
    request: api.DenoiseRequest, form: str, tokenizer: ForeignTokenizer, encoder: LineEncoder, room: int
) -> Filled:
    """The prompt of a hole, in `room` tokens. Raises BadRequest where the form alone does not fit."""
    for share in SHARES:
        budget = int(room * share) - frame_tokens(form, tokenizer, encoder)
        if budget < 8:
            break
        filled = fill(form, _places(request, form, budget, encoder), tokenizer, encoder)
        if len(filled.before_ids) + len(filled.after_ids) <= room:
            return filled
    raise BadRequest("too_long", f"The canvas leaves no room for a prompt: {room} tokens are left.")


def _places(request: api.DenoiseRequest, form: str, budget: int, encoder: LineEncoder) -> dict[str, str]:
    prompt = request.prompt
    mark = comment_mark(prompt.language)
    below = first_lines(prompt.tail + prompt.suffix, budget // 4, encoder)
    if "{below}\n" in form:
        below = below.removesuffix("\n")
    as_comment = "{below_as_comment}" in form
    if as_comment and below:
        below = "".join(commented(f"The lines below the cursor:\n{below}", mark)) + "\n"
    left = budget - len(encoder(below))
    context = ""
    for snippet in prompt.snippets:
        text = "".join(commented(f"{snippet.path}\n{snippet.text}", mark)) + "\n"
        if len(encoder(context + text)) > budget // 3:
            break
        context += text
    if prompt.path and "{path}" not in form:
        context += f"{mark} {prompt.path}\n"
    above = last_lines(prompt.prefix + prompt.line, left - len(encoder(context)), encoder)
    return {
        "context": context,
        "path": prompt.path,
        "language": prompt.language,
        "above": above,
        "below": "" if as_comment else below,
        "below_as_comment": below if as_comment else "",
    }


def fill(form: str, places: Mapping[str, str], tokenizer: ForeignTokenizer, encoder: LineEncoder) -> Filled:
    """The ids of a form with its places filled. Text between two special tokens is encoded as one."""
    before, _, after = form.partition("{canvas}")
    before_ids: list[int] = []
    taken_back = None
    for run in _runs(before, places):
        if isinstance(run, Special):
            before_ids.append(tokenizer.special_id(run.name))
        elif isinstance(run, Cursor):
            ids, taken_back = heal_text(run.text, tokenizer, encoder)
            before_ids += ids
        else:
            before_ids += encoder(run)
    after_ids: list[int] = []
    for run in _runs(after, places):
        after_ids += [tokenizer.special_id(run.name)] if isinstance(run, Special) else encoder(_text_of(run))
    return Filled(before_ids, after_ids, taken_back)


def frame_tokens(form: str, tokenizer: ForeignTokenizer, encoder: LineEncoder) -> int:
    """How many tokens a form has when nothing stands in its places."""
    filled = fill(form, {}, tokenizer, encoder)
    return len(filled.before_ids) + len(filled.after_ids)


def heal_text(text: str, tokenizer: ForeignTokenizer, encoder: LineEncoder) -> tuple[list[int], TakenBack | None]:
    """Ids of a text that ends at the cursor, without what its last token may go on from, and that."""
    if text.endswith((" ", "\t")):
        tokens = tokenizer.encode(text[-1])
        if len(tokens) == 1:
            return encoder(text[:-1]), _taken_back(tokens[0], tokenizer)
    ids = encoder(text)
    if not ids or not _LAST_WORD.search(text):
        return ids, None
    return ids[:-1], _taken_back(ids[-1], tokenizer)


def _taken_back(token: int, tokenizer: ForeignTokenizer) -> TakenBack:
    typed = tokenizer.token_bytes[token]
    return TakenBack(token=token, typed=typed, allowed_ids=tokenizer.ids_starting_with(typed))


def comment_mark(language: str) -> str:
    """What begins a comment that ends with its line."""
    if language in HASH_LANGUAGES:
        return "#"
    return "--" if language in DASH_LANGUAGES else "//"


def commented(text: str, mark: str) -> list[str]:
    """The lines of a text as comments; the last one ends with a newline too."""
    return [f"{mark} {line}".rstrip() + "\n" for line in "".join(lines_of(text)).rstrip("\n").split("\n")]


def _runs(form: str, places: Mapping[str, str]) -> Iterator[Special | Cursor | str]:
    """Special tokens and the texts between them; one that ends with the code above the cursor is marked."""
    text, start, ends_at_cursor = "", 0, False
    for match in PARTS.finditer(form):
        literal = form[start : match.start()]
        text, start = text + literal, match.end()
        ends_at_cursor = ends_at_cursor and not literal
        if match["special"]:
            if text:
                yield Cursor(text) if ends_at_cursor else text
            text, ends_at_cursor = "", False
            yield Special(match["special"])
        elif match["place"]:
            text += places.get(match["place"], "")
            ends_at_cursor = match["place"] == "above"
    literal = form[start:]
    if text + literal:
        yield Cursor(text) if ends_at_cursor and not literal else text + literal


def _text_of(run: "Cursor | str") -> str:
    return run.text if isinstance(run, Cursor) else run
