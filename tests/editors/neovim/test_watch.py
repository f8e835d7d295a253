"""Watching a completion being written in Neovim: in a floating window, and as lines of words."""

from typing import Any

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]

ANSWER = {
    "reason": None, "sentence": "", "text": "range(10):", "steps": 3, "forwards": 5, "elapsedMs": 25.0,
    "confidence": 0.9,
}  # fmt: skip


def frame(step: int, *pieces: tuple[str, str, int, float]) -> dict[str, Any]:
    names = ("state", "text", "numTokens", "confidence")
    shown = [dict(zip(names, piece, strict=True)) for piece in pieces]
    return {"step": step, "elapsedMs": step * 8.0, "confidence": 0.5, "pieces": shown}


FRAMES = [
    frame(1, ("draft", "ranje", 1, 0.2), ("masked", "", 4, 0.1)),
    frame(2, ("draft", "range(10", 3, 0.8), ("masked", "", 2, 0.1)),
    frame(3, ("committed", "range(10):", 5, 1.0)),
]


def begin(editor, **more: Any) -> None:
    editor.suggest(commands={"seedling.watch": ANSWER}, frames=FRAMES, **more)
    editor.run("vim.api.nvim_buf_set_lines(0, 0, -1, false, { '# ä', 'for i in ' })")


def asked(editor) -> list[dict[str, Any]]:
    told = editor.messages("workspace/executeCommand")
    return [params["arguments"][0] for params in told if params["command"] == "seedling.watch"]


def see(editor, *lines: str) -> None:
    editor.wait_for(f"the view {lines}", lambda: editor.lines() == list(lines))


def marks(editor, row: int) -> list[tuple[str, str]]:
    """What is drawn in a row, and how."""
    found = editor.run(
        "local name = vim.api.nvim_get_namespaces()['seedling.denoise']"
        f"return vim.api.nvim_buf_get_extmarks(0, name, {{ {row}, 0 }}, {{ {row}, -1 }}, {{ details = true }})"
    )
    line = editor.lines()[row].encode()
    return [(line[start : more["end_col"]].decode(), more["hl_group"]) for _, _, start, more in found]


def test_every_step_can_be_looked_at_and_nothing_is_inserted(editor):
    begin(editor)
    editor.keys("2G$:Seedling watch<CR>")
    see(editor, "for i in range(10):", "", "3 steps, 5 forwards, 1 correction, 25 ms, 200 tokens/s")
    (request,) = asked(editor)
    assert request["position"] == {"line": 1, "character": 9}
    assert request["version"] == editor.lua("vim.lsp.util.buf_versions[vim.fn.bufnr('shapes.py')]")
    editor.keys("pp")
    see(editor, "for i in range(10░░", "", "step 2, 16 ms: 3 of 5 tokens written, 1 corrected, 50 % sure")
    assert set(marks(editor, 0)) == {
        ("for i in ", "SeedlingLocked"),
        ("range", "SeedlingSure4"),
        ("range", "SeedlingCorrected"),
        ("(10", "SeedlingSure4"),
        ("░░", "SeedlingMask"),
    }
    editor.keys("p")
    see(editor, "for i in ranje░░░░", "", "step 1, 8 ms: 1 of 5 tokens written, 0 corrected, 50 % sure")
    assert ("ranje", "SeedlingDoubt") in marks(editor, 0), "told by more than a colour"
    editor.keys("pn")
    see(editor, "for i in range(10░░", "", "step 2, 16 ms: 3 of 5 tokens written, 1 corrected, 50 % sure")
    editor.keys("q")
    editor.wait_for("one window", lambda: editor.lua("#vim.api.nvim_list_wins()") == 1)
    assert editor.lines() == ["# ä", "for i in "]
    assert editor.lua("vim.bo.modified") is True, "as it was"
    editor.hear()
    assert editor.messages("$/cancelRequest") == []


def test_in_words_for_screen_readers(editor):
    begin(editor)
    editor.keys("2G$:Seedling watch plain<CR>")
    see(
        editor,
        "Seedling: line 2",
        "step 1, 8 ms: 1 of 5 tokens written, 0 corrected: ranje …",
        "step 2, 16 ms: 3 of 5 tokens written, 1 corrected: range(10 …",
        "step 3, 24 ms: 5 of 5 tokens written, 0 corrected: range(10):",
        "3 steps, 5 forwards, 1 correction, 25 ms, 200 tokens/s",
    )
    assert editor.lua("vim.api.nvim_win_get_cursor(0)[1]") == 5, "the newest line is the one that is read"
    editor.keys("q")
    editor.wait_for("one window", lambda: editor.lua("#vim.api.nvim_list_wins()") == 1)


@pytest.mark.parametrize("how", ["watch", "watch plain"])
def test_closing_it_takes_the_question_back(nvim_012_editor, how):
    editor = nvim_012_editor
    begin(editor, wait_s=60)
    editor.keys(f"2G$:Seedling {how}<CR>")
    editor.wait_for("a step", lambda: any("step " in line for line in editor.lines()))
    editor.keys(":close<CR>")
    editor.wait_for("the cancelling", lambda: editor.messages("$/cancelRequest"))
    see(editor, "# ä", "for i in ")
    editor.hear()
    assert editor.note() == ""


def test_another_one_ends_the_one_before(nvim_012_editor):
    editor = nvim_012_editor
    begin(editor, wait_s=60)
    editor.keys("2G$:Seedling watch<CR>")
    editor.wait_for("a step", lambda: any("step " in line for line in editor.lines()))
    begin_again = "vim.cmd.wincmd('p') vim.cmd('Seedling watch plain')"
    editor.run(begin_again)
    editor.wait_for("the cancelling", lambda: len(editor.messages("$/cancelRequest")) == 1)
    editor.wait_for("two windows", lambda: editor.lua("#vim.api.nvim_list_wins()") == 2)


def test_the_reason_for_none_is_said(nvim_012_editor):
    editor = nvim_012_editor
    begin(editor)
    sentence = "The document is excluded."
    editor.suggest(commands={"seedling.watch": {"reason": "excluded", "sentence": sentence}})
    editor.keys("2G$:Seedling watch<CR>")
    editor.wait_for("the sentence", lambda: editor.note() == f"Seedling: {sentence}")
    editor.wait_for("one window", lambda: editor.lua("#vim.api.nvim_list_wins()") == 1)


def test_the_place_is_behind_the_cursors_character_in_normal_mode_and_the_cursor_in_insert_mode(nvim_012_editor):
    editor = nvim_012_editor
    begin(editor)
    editor.run("vim.keymap.set({ 'n', 'i' }, '<M-w>', '<Plug>(seedling-watch)')")
    for keys in ("gg$<M-w>", "gg0i<M-w>", "2G04li<M-w>"):
        num_asked = len(asked(editor))
        editor.keys(keys)
        editor.wait_for("the question", lambda num_asked=num_asked: len(asked(editor)) > num_asked)
        editor.wait_for("the view", lambda: editor.lua("#vim.api.nvim_list_wins()") == 2)
        editor.keys("q")
        editor.wait_for("one window", lambda: editor.lua("#vim.api.nvim_list_wins()") == 1)
    places = [(one["position"]["line"], one["position"]["character"]) for one in asked(editor)]
    assert places == [(0, 3), (0, 0), (1, 4)]


def test_the_server_ends_while_it_writes(nvim_012_editor):
    editor = nvim_012_editor
    begin(editor, wait_s=60)
    editor.keys("2G$:Seedling watch plain<CR>")
    editor.wait_for("a step", lambda: any("step " in line for line in editor.lines()))
    editor.run("vim.lsp.get_clients({ name = 'seedling' })[1]:notify('exit')")
    ended = "Seedling: the server has ended; nothing was changed"
    editor.wait_for("the sentence", lambda: ended in editor.lua("vim.g.notes"))
    editor.wait_for("one window", lambda: editor.lua("#vim.api.nvim_list_wins()") == 1)


def test_a_frame_of_a_rewrite_from_the_menu_is_told_in_one_line(nvim_012_editor):
    editor = nvim_012_editor
    editor.run(
        "vim.g.echoed = '' vim.api.nvim_echo = function(chunks) vim.g.echoed = chunks[1][1] end "
        "require('seedling.canvas').take({ token = 's-1', step = 1, elapsedMs = 8, confidence = 1, "
        "pieces = { { state = 'draft', text = 'x = 1', numTokens = 3, confidence = 1 } } })"
    )
    assert editor.lua("vim.g.echoed") == "Seedling: step 1, 8 ms: 3 of 3 tokens written, 0 corrected: x = 1"
