"""What a selection means, what is asked, and what comes of an answer: goldens without a server."""

import pytest
from capabilities import capabilities

from lsp_server.engine_link import EngineState
from lsp_server.features.quiet import Asked
from lsp_server.features.rewrite import (
    MAX_INSTRUCTION_CHARS,
    Target,
    breaks_syntax,
    line_end,
    offset_of,
    position_of,
    rewrite_request,
    rewritten,
    source_of,
    target_at,
    why_not_rewritten,
)
from lsp_server.outcome import Reason
from lsp_server.positions import Position, split_lines
from lsp_server.settings import Settings
from lsp_server.snapshot import Snapshot, open_document
from model.engine import api

# « and » are the ends of the selection (alone: the cursor); below it the canvas, ‹ › around what is locked.
GOLDENS = {
    "a statement, though a part of it is selected": ("x = f(«a», b)\ny = 1\n", "x = f(a, b)"),
    "the smallest statement at the cursor": ("if x:\n    y = «1\n    z = 2\n", "y = 1"),
    "a cursor in the indentation": ("if x:\n «   y = 1\n", "y = 1"),
    "a cursor behind the line": ("x = 1«\ny = 2\n", "x = 1"),
    "a function by its header": ("def f():\n    «return 1\n".replace("«", "").replace("f():", "f«():"), None),
    "whole lines stay whole lines": ("a = 1\n«b = 2\nc = 3\n»d = 4\n", "b = 2\nc = 3\n"),
    "code inside its lines stays inside": ("if x:\n    «b = 2\n    c = 3»\n", "b = 2\n    c = 3"),
    "half statements become whole": ("a« = 1\nb »= 2\nc = 3\n", "a = 1\nb = 2"),
    "a header and a part of its block": (
        "if x:\n    a = 1\n    b = 2\n".replace("if", "«if").replace("1\n", "1»\n"),
        None,
    ),
    "a part of a block and what is below": (
        "if x:\n    a = 1\n    «b = 2\nc = 3»\n",
        "‹if x:\n    a = 1\n    ›b = 2\nc = 3",
    ),
    "a comment": ("# one« two\nx = 1\n".replace("« two", " «two»"), "two"),
    "blank": ("x = 1\n\n«\n\ny = 2\n", None),
    "blank lines selected": ("x = 1\n«\n\n»y = 2\n", None),
}
EXPECTED = {
    "a function by its header": "def f():\n    return 1",
    "a header and a part of its block": "if x:\n    a = 1‹\n    b = 2›",
}


@pytest.mark.parametrize("name", GOLDENS)
def test_what_a_selection_means(name: str) -> None:
    marked, expected = GOLDENS[name]
    expected = EXPECTED.get(name, expected)
    start = marked.index("«")
    source = marked.replace("«", "")
    end = source.index("»") if "»" in source else start
    source = source.replace("»", "")
    target = target_at(source, start, end, "python", 1000)
    if expected is None:
        assert target is None
        return
    assert target is not None
    locked = [f"‹{text}›" if text else "" for text in (target.before, target.after)]
    assert locked[0] + target.draft + locked[1] == expected


def test_too_much_locked_text_is_left_to_the_prompt() -> None:
    source = "if x:\n    a = 1\n" + "    b = 2\n" * 100
    target = target_at(source, 0, 14, "python", 50)
    assert target is not None
    assert (target.draft, target.after) == ("if x:\n    a = 1", "")


def test_places_are_the_same_both_ways_whatever_the_line_ends() -> None:
    for end in ("\n", "\r\n", "\r"):
        lines = split_lines(f"ä = 1{end}{end}𝄞 = 2{end}x")
        source = source_of(lines)
        assert source == "ä = 1\n\n𝄞 = 2\nx"
        assert line_end(lines) == end
        for offset in range(len(source) + 1):
            assert offset_of(lines, position_of(source, offset)) == offset


def test_the_prompt_is_what_surrounds_the_canvas() -> None:
    text = "".join(f"x{i} = {i}\n" for i in range(200))
    source = text[: text.index("x100")] + "if y:\n    a = 1\n    b = 2\n" + text[text.index("x100") :]
    target = target_at(source, source.index("if y"), source.index("a = 1") + 5, "python", 1000)
    assert target is not None
    snapshot = Snapshot(document=open_document("file:///a.py", "python", 1, source), cursor=Position(0, 0), path="a.py")
    request = rewrite_request(target, snapshot, "docstring", 0, 10_000, "id")
    prompt = request.prompt
    around = "".join(piece.text for piece in request.canvas if not isinstance(piece, api.Masked))
    assert prompt.prefix + prompt.line + around + prompt.tail + prompt.suffix == source
    assert prompt.instruction == "add a docstring"
    assert request.stop == "eom"
    short = rewrite_request(target, snapshot, "x", 0, 16, "id").prompt
    assert source.count("\n", 0, source.index(short.prefix)) % 16 == 0
    assert len(short.prefix) < 600
    assert len(short.tail + short.suffix) <= 16 * 16


def done(text: str, reason: api.DoneReason = "eom") -> api.Done:
    figures = {"confidence": 1.0, "steps": 1, "forwards": 1, "num_tokens": 1, "prompt_tokens": 1, "cached_tokens": 0}
    return api.Done(text=text, reason=reason, model="m", device="cpu", engine_ms=1.0, **figures)


@pytest.mark.parametrize(
    ("draft", "answer", "expected"),
    [
        ("x = 1", "x = 2", "x = 2"),
        ("x = 1", "x = 2\n\n", "x = 2"),
        ("x = 1\n", "x = 2", "x = 2\n"),
        ("x = 1\n", "", ""),
        ("x = 1\n", "  x = 2\n", "  x = 2\n"),  # never indented anew
        ("x = 1", "x = 1\r\ny = 2", "x = 1\ny = 2"),
        ("x = 1", "x = 1", Reason.UNCHANGED),
        ("x = 1", "x = 1\n", Reason.UNCHANGED),
        ("x = 1", "x = '\x1b[2J'", Reason.UNSAFE_TEXT),
        ("x = 1", "x = '\u202e'", Reason.UNSAFE_TEXT),
    ],
)
def test_what_comes_of_an_answer(draft: str, answer: str, expected: str | Reason) -> None:
    assert rewritten(Target(draft, 0, len(draft)), done(answer)) == expected


def test_locked_text_is_looked_for_at_both_ends() -> None:
    target = Target("ab\ncd\nef", 3, 5, "ab\n", "\nef")
    assert rewritten(target, done("ab\nxy\nef")) == "xy"
    assert rewritten(target, done("ab\n\nef")) == ""
    for text in ("", "ab\nef", "ab\nxy\nef\n", "xy\nef", "Ab\nxy\nef"):
        assert rewritten(target, done(text)) is Reason.OUTSIDE_CHANGED
    overlapping = Target("aaXaa", 2, 3, "aa", "aa")
    assert rewritten(overlapping, done("aaa")) is Reason.OUTSIDE_CHANGED


def test_broken_code_is_told_from_code_that_was_broken_before() -> None:
    sound = Target("x = 1\ny = 2\n", 0, 5)
    assert breaks_syntax(sound, "x = (", "python")
    assert not breaks_syntax(sound, "x = ()", "python")
    assert not breaks_syntax(Target("x = 1\ny = (\n", 0, 5), "x = (", "python")


def test_the_longest_instruction_is_a_sentence_not_a_text() -> None:
    assert 100 < MAX_INSTRUCTION_CHARS < 1000


def test_another_server_completes_and_does_nothing_else() -> None:
    snapshot = Snapshot(
        document=open_document("file:///a.py", "python", 1, "x = 1\n"), cursor=Position(0, 0), path="a.py"
    )
    engine = EngineState(kind="ready", capabilities=capabilities(rewrite="none"), completes_only=True)
    refused = why_not_rewritten(Asked(snapshot, Settings(), engine), None)
    assert refused is not None
    assert refused.reason is Reason.COMPLETES_ONLY
