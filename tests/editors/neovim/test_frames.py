"""The parts of the denoise view that are pure: what was corrected between two frames, how one is drawn, its words."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]

MASK = "░"
PLUGIN = Path(__file__).parents[3] / "editors" / "neovim"


@pytest.fixture(scope="module", params=["0.12", "0.11"])
def pure(request: pytest.FixtureRequest, attach) -> Iterator[Any]:
    """One Neovim for all tests of this file: nothing here has a state. It holds the modules and nothing else."""
    program = request.getfixturevalue("nvim_program" if request.param == "0.12" else "nvim_011_program")
    folder = Path(tempfile.mkdtemp(prefix="seedling-"))
    socket = folder / "nvim.sock"
    command = [program, "--headless", "--clean", "--cmd", f"set rtp^={PLUGIN}", "--listen", socket]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield attach(socket)
    process.terminate()
    process.wait(20)
    shutil.rmtree(folder)


def frame(*pieces: tuple[str, str | int, float], step: int = 1) -> dict[str, Any]:
    """A frame of (state, text or number of masks, confidence); a token for every four characters."""
    found = []
    for state, what, confidence in pieces:
        text, num = ("", what) if isinstance(what, int) else (what, max(1, len(what) // 4))
        found.append({"state": state, "text": text, "numTokens": num, "confidence": confidence})
    return {"token": "t", "step": step, "elapsedMs": 24.4, "confidence": 0.87, "pieces": found}


def canvas(text: str) -> dict[str, Any]:
    """A frame of one draft, masks as ░."""
    runs: list[tuple[str, str | int, float]] = []
    for character in text:
        if character == MASK:
            if runs and runs[-1][0] == "masked":
                runs[-1] = ("masked", int(runs[-1][1]) + 1, 0.0)
            else:
                runs.append(("masked", 1, 0.0))
        elif runs and runs[-1][0] == "draft":
            runs[-1] = ("draft", str(runs[-1][1]) + character, 0.5)
        else:
            runs.append(("draft", character, 0.5))
    return frame(*runs)


def follow(pure, *texts: str) -> tuple[list[int], str]:
    """How many corrections there were from each canvas to the next, and the last with what is marked in capitals."""
    shown = json.dumps([canvas(text) for text in texts])
    result = pure.run(f"""
        local frames, corrections = require('seedling.frames'), require('seedling.corrections')
        local before, numbers, marked
        for _, frame in ipairs(vim.json.decode([==[{shown}]==])) do
          local cells = frames.cells(frame)
          if before then
            table.insert(numbers, corrections.follow(before, cells))
          end
          numbers, marked, before = numbers or {{}}, '', cells
          for _, cell in ipairs(cells) do
            local text = cell.state == 'masked' and '-' or cell.text
            marked = marked .. (cell.corrected and (text == '-' and '+' or text:upper()) or text)
          end
        end
        return {{ numbers, marked }}
    """)
    return result[0], result[1]


@pytest.mark.parametrize(
    ("before", "after", "num_corrected", "marked"),
    [
        ("░░░░", "return░", 0, "return-"),
        ("x = ░░)", "x = foo(y)", 0, "x = foo(y)"),
        ("for i░░", "for j in", 1, "for J in"),  # not the i of "in", which came out of a mask
        ("retrun x", "return x", 1, "RETURN x"),
        ("a + b", "a + b\nc = ░░░░", 0, "a + b\nc = ----"),  # a block is finished, another begins
        ("return x", "return x░░░░", 0, "return x----"),
        ("return░", "return", 0, "return"),  # it stood behind the end
        ("foo(a, b)", "foo(░, b)", 1, "foo(+, b)"),  # a second look found it doubtful
        ("aa bb cc", "xx bb yy", 2, "XX bb YY"),
        ("a  b", "a b", 1, "a b"),
        ("näme ░", "name ░", 1, "NAME -"),
        ("same", "same", 0, "same"),
        ("", "x", 0, "x"),
    ],
)
def test_a_correction_is_what_was_visible_and_is_another_text_now(pure, before, after, num_corrected, marked):
    assert follow(pure, before, after) == ([num_corrected], marked)


def test_a_correction_stays_marked_and_what_fills_its_mask_is_one(pure):
    assert follow(pure, "foo(a)", "foo(░)", "foo(░)░", "foo(bc)░") == ([1, 0, 0], "foo(BC)-")


def test_canvases_too_large_to_compare_are_shown_without_marks(pure):
    assert follow(pure, "a" * 1200, "b" * 1200)[0] == [0]
    assert follow(pure, "x" * 5000 + "a", "x" * 5000 + "b")[0] == [1]


def test_a_frame_in_words(pure):
    shown = frame(
        ("locked", "def f():\n", 1.0), ("draft", "    return", 0.9), ("masked", 7, 0.1), ("draft", " total", 0.9)
    )
    words = pure.lua(f"require('seedling.frames').words(vim.json.decode([==[{json.dumps(shown)}]==]), 1)")
    assert words == "step 1, 24 ms: 3 of 10 tokens written, 1 corrected: def f(): return … total"


@pytest.mark.parametrize(
    ("ending", "num_corrected", "words"),
    [
        ({"steps": 8, "forwards": 10, "elapsedMs": 41.3}, 1, "8 steps, 10 forwards, 1 correction, 41 ms, 242 tokens/s"),
        ({"steps": 1, "forwards": 1, "elapsedMs": 0}, 0, "1 step, 1 forward, 0 corrections, 0 ms"),
        ({}, 2, "1 step, 2 corrections, 24 ms, 410 tokens/s"),
    ],
)
def test_what_a_canvas_took(pure, ending, num_corrected, words):
    last = json.dumps(frame(("committed", "x" * 40, 1.0)))
    call = f"vim.json.decode('{json.dumps(ending)}'), vim.json.decode('{last}'), {num_corrected}"
    assert pure.lua(f"require('seedling.frames').summary({call})") == words


def test_how_a_frame_is_drawn(pure):
    shown = frame(
        ("locked", "if x:\n", 1.0), ("draft", "ä\n", 0.95), ("draft", "b", 0.1), ("masked", 2, 0), ("committed", "c", 1)
    )
    lines, spans = pure.run(
        "local frames = require('seedling.frames')"
        f"local lines, spans = frames.drawn(frames.cells(vim.json.decode([==[{json.dumps(shown)}]==])))"
        "return { lines, spans }"
    )
    assert lines == ["if x:", "ä", "b░░c"]
    assert [(span["row"], span["first"], span["last"], span["groups"]) for span in spans] == [
        (0, 0, 5, ["SeedlingLocked"]),
        (1, 0, 2, ["SeedlingSure5"]),
        (2, 0, 1, ["SeedlingSure1", "SeedlingDoubt"]),
        (2, 1, 7, ["SeedlingMask"]),
    ]


def test_levels_of_confidence(pure):
    levels = pure.lua("vim.tbl_map(require('seedling.frames').level, { 0, 0.29, 0.3, 0.5, 0.7, 0.89, 0.9, 1 })")
    assert levels == [1, 1, 2, 3, 4, 4, 5, 5]


OLD = ["a = 1", "b = 2", "c = 3", "d = 4"]


@pytest.mark.parametrize(
    ("start", "end", "text", "new"),
    [
        ((1, 0), (1, 5), "b = 5", ["a = 1", "b = 5", "c = 3", "d = 4"]),
        ((1, 0), (2, 0), "x\ny\n", ["a = 1", "x", "y", "c = 3", "d = 4"]),
        ((1, 0), (2, 0), "", ["a = 1", "c = 3", "d = 4"]),
        ((3, 0), (4, 0), "e\nf\n", ["a = 1", "b = 2", "c = 3", "e", "f"]),  # to behind the last newline
        ((0, 0), (4, 0), "z\n", ["z"]),
        ((1, 4), (2, 1), "0\nq", ["a = 1", "b = 0", "q = 3", "d = 4"]),
    ],
)
def test_the_lines_of_a_rewrite_and_the_hunks_that_make_them(pure, start, end, text, new):
    ends = [{"line": line, "character": character} for line, character in (start, end)]
    asked = json.dumps({"old": OLD, "range": {"start": ends[0], "end": ends[1]}, "text": text})
    replaced, made, diff = pure.run(f"""
        local preview, asked = require('seedling.preview'), vim.json.decode([==[{asked}]==])
        local new = preview.replaced(asked.old, asked.range, 'utf-16', asked.text)
        vim.cmd.new()
        vim.api.nvim_buf_set_lines(0, 0, -1, false, asked.old)
        for _, hunk in ipairs(preview.hunks(asked.old, new)) do
          vim.api.nvim_buf_set_lines(0, hunk.first, hunk.first + hunk.num_old, true, hunk.lines)
        end
        local made = vim.api.nvim_buf_get_lines(0, 0, -1, false)
        vim.cmd('bwipeout!')
        return {{ new, made, preview.diff(asked.old, new) }}
    """)
    assert replaced == new
    assert made == new
    assert diff[0].startswith("@@ ")
    assert [line[1:] for line in diff if line.startswith(("+", " "))] == [
        line for line in new if f"-{line}" not in diff
    ]
