"""Rewriting in Neovim: what is asked, the canvas, the diff; accepted as one change, rejected, tried again, refused."""

from typing import Any

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]

CODE = ["import os", "", "def f(x):", "    return x", "", "def g():", "    return 2"]
RANGE = {"start": {"line": 2, "character": 0}, "end": {"line": 3, "character": 12}}
ANSWER = {
    "applied": False, "reason": None, "sentence": "", "range": RANGE, "text": "def f(x: int) -> int:\n    return x",
    "confidence": 0.93, "steps": 4, "forwards": 6, "elapsedMs": 40.0, "parses": True,
}  # fmt: skip
FRAMES = [
    {"step": step, "elapsedMs": step * 8.0, "confidence": 0.6, "pieces": pieces}
    for step, pieces in enumerate(
        (
            [{"state": "draft", "text": "def f(x):", "numTokens": 5, "confidence": 0.4}],
            [
                {"state": "draft", "text": "def f(x: int", "numTokens": 6, "confidence": 0.9},
                {"state": "masked", "text": "", "numTokens": 3, "confidence": 0.1},
            ],
        ),
        1,
    )
]
KEYS = """
vim.keymap.set({ 'n', 'x' }, '<M-r>', '<Plug>(seedling-rewrite)')
for name, key in pairs({ accept = '<M-y>', reject = '<M-q>', retry = '<M-t>' }) do
  vim.keymap.set('n', key, '<Plug>(seedling-' .. name .. '-rewrite)')
end
"""
FLOAT = "vim.api.nvim_win_get_config(0).relative ~= ''"


def script(editor, *, rewrite: str = "free", answer: dict[str, Any] | None = None, **more: Any) -> None:
    """What the server answers: the result of a rewrite, and what its model can do."""
    kinds = [{"kind": "f-string", "title": "Use an f-string", "instruction": "use an f-string"}]
    status = {"kind": "Normal", "busy": False, "message": "Ready.", "rewrite": rewrite, "rewriteKinds": kinds}
    commands = {"seedling.status": status, "seedling.rewrite": answer or ANSWER}
    editor.suggest(commands=commands, **more)


def begin(editor, **more: Any) -> None:
    script(editor, **more)
    editor.run(KEYS)
    editor.run(f"vim.api.nvim_buf_set_lines(0, 0, -1, false, {{ {', '.join(map(repr, CODE))} }})")


def asked(editor) -> list[dict[str, Any]]:
    told = editor.messages("workspace/executeCommand")
    return [params["arguments"][0] for params in told if params["command"] == "seedling.rewrite"]


def see_preview(editor) -> list[str]:
    """The lines of the preview, when it is there."""
    return editor.wait_for("the preview", lambda: editor.lua(FLOAT) and preview_of(editor.lines()))


def preview_of(lines: list[str]) -> list[str] | None:
    return lines if any(line.startswith("@@ ") for line in lines) else None


def see_none(editor) -> None:
    editor.wait_for("no window of ours", lambda: editor.lua("#vim.api.nvim_list_wins()") == 1)


def text_of_file(editor) -> list[str]:
    return editor.lua("vim.api.nvim_buf_get_lines(vim.fn.bufnr('shapes.py'), 0, -1, false)")


def test_the_statement_at_the_cursor_is_rewritten_and_undone_in_one_step(editor):
    begin(editor)
    editor.keys("3G:Seedling rewrite add type hints<CR>")
    assert see_preview(editor) == [
        "# add type hints", "# 93 % sure", "@@ -1,6 +1,6 @@", " import os", " ", "-def f(x):", "+def f(x: int) -> int:",
        "     return x", " ", " def g():",
    ]  # fmt: skip
    (request,) = asked(editor)
    here = {"line": 2, "character": 0}
    assert (request["range"], request["seed"], request["apply"]) == ({"start": here, "end": here}, 0, False)
    assert request["version"] == editor.lua("vim.lsp.util.buf_versions[vim.fn.bufnr('shapes.py')]")
    assert text_of_file(editor) == CODE
    assert editor.lua("vim.bo.filetype") == "diff"
    before = editor.lua("vim.fn.undotree(vim.fn.bufnr('shapes.py')).seq_cur")
    editor.keys("<CR>")
    see_none(editor)
    editor.see_lines(*CODE[:2], "def f(x: int) -> int:", *CODE[3:])
    assert editor.lua("vim.fn.undotree().seq_cur") == before + 1
    editor.keys("u")
    editor.see_lines(*CODE)


def test_marks_folds_and_cursors_outside_stay(editor):
    begin(editor, answer=ANSWER | {"text": "def f(x):\n    # x\n    y = x\n    return y"})
    editor.run("vim.wo.foldmethod = 'manual' vim.cmd('6,7fold') vim.cmd('normal! 1Gma7Gmb')")
    editor.run("vim.cmd.split() vim.api.nvim_win_set_cursor(0, { 7, 4 }) vim.cmd.wincmd('p')")
    editor.keys("3G:Seedling rewrite name it<CR>")
    see_preview(editor)
    editor.keys("<CR>")
    editor.see_lines(*CODE[:3], "    # x", "    y = x", "    return y", *CODE[4:])
    marks = editor.run('return { vim.fn.line("\'a"), vim.fn.line("\'b"), vim.fn.foldclosed(8), vim.fn.foldclosed(6) }')
    assert marks == [1, 9, 8, -1]
    cursors = editor.lua("vim.tbl_map(vim.api.nvim_win_get_cursor, vim.api.nvim_list_wins())")
    assert [9, 4] in cursors
    assert [3, 0] in cursors


@pytest.mark.parametrize("keys", ["q", "<Esc>", ":close<CR>", "<M-q>", "<C-w>c"])
def test_rejected_nothing_changes(nvim_012_editor, keys):
    editor = nvim_012_editor
    begin(editor)
    editor.keys("3G:Seedling rewrite add type hints<CR>")
    see_preview(editor)
    version = editor.lua("vim.b[vim.fn.bufnr('shapes.py')].changedtick")
    editor.keys(keys)
    see_none(editor)
    assert editor.lines() == CODE
    assert editor.lua("vim.b.changedtick") == version
    assert (
        editor.run("return { require('seedling').accept_rewrite(), require('seedling').retry_rewrite() }")
        == [False] * 2
    )


def test_tried_again_with_another_seed(editor):
    begin(editor)
    editor.keys("3G:Seedling rewrite add type hints<CR>")
    see_preview(editor)
    script(editor, answer=ANSWER | {"text": "def f(x: str) -> str:\n    return x", "parses": False})
    editor.keys("r")
    shown = editor.wait_for("the other", lambda: "+def f(x: str) -> str:" in editor.lines() and editor.lines())
    assert shown[2] == "# does not parse"
    assert [one["seed"] for one in asked(editor)] == [0, 1]
    assert asked(editor)[0]["range"] == asked(editor)[1]["range"]
    assert asked(editor)[0]["token"] != asked(editor)[1]["token"]
    editor.keys("<M-y>")
    see_none(editor)
    assert editor.lines()[2] == "def f(x: str) -> str:"


def test_the_canvas_is_shown_while_it_is_written_and_closing_it_takes_the_question_back(editor):
    begin(editor, frames=FRAMES, wait_s=60)
    editor.keys("3G:Seedling rewrite add type hints<CR>")
    editor.wait_for("the canvas", lambda: editor.lua(FLOAT) and editor.lines()[0] == "def f(x: int░░░")
    assert editor.lines()[-1] == "step 2, 16 ms: 6 of 9 tokens written, 1 corrected, 60 % sure"
    editor.keys("p")
    editor.wait_for("the step before", lambda: editor.lines()[0] == "def f(x):")
    editor.keys("<Esc>")
    see_none(editor)
    editor.wait_for("the cancelling", lambda: editor.messages("$/cancelRequest"))
    assert editor.lines() == CODE
    editor.hear()
    assert editor.note() == "", "whoever closes a window knows it"


def test_a_document_that_has_changed_is_left_alone(editor):
    begin(editor)
    editor.keys("3G:Seedling rewrite add type hints<CR>")
    see_preview(editor)
    editor.run("vim.api.nvim_buf_set_lines(vim.fn.bufnr('shapes.py'), 0, 1, false, { 'import re' })")
    editor.keys("<CR>")
    see_none(editor)
    editor.wait_for("the sentence", lambda: editor.note().startswith("Seedling: the buffer has changed meanwhile"))
    assert editor.lines() == ["import re", *CODE[1:]]


def test_an_answer_for_an_older_document_is_not_shown(editor):
    begin(editor, wait_s=1)
    editor.keys("3G:Seedling rewrite add type hints<CR>")
    editor.wait_for("the question", lambda: asked(editor))
    editor.run("vim.api.nvim_buf_set_lines(vim.fn.bufnr('shapes.py'), 0, 1, false, { 'import re' })")
    editor.wait_for("the sentence", lambda: editor.note().startswith("Seedling: the buffer has changed meanwhile"))
    see_none(editor)
    assert editor.lines() == ["import re", *CODE[1:]]


def test_the_reason_for_none_is_said(editor):
    refused = {"applied": False, "reason": "unchanged", "sentence": "The model would leave this code as it is."}
    begin(editor, answer=refused)
    editor.keys("3G:Seedling rewrite add type hints<CR>")
    editor.wait_for("the sentence", lambda: editor.note() == "Seedling: The model would leave this code as it is.")
    see_none(editor)


SELECTIONS = {
    "3GV4G<M-r>": ((2, 0), (3, 12)),
    "3G0wviw<M-r>": ((2, 4), (2, 5)),
    "4G0vw<Esc>gvo<M-r>": ((3, 0), (3, 5)),  # the cursor stands at its beginning
    "4G$<M-r>": ((3, 11), (3, 11)),
}


@pytest.mark.parametrize("keys", SELECTIONS)
def test_what_is_selected(nvim_012_editor, keys):
    editor = nvim_012_editor
    begin(editor)
    editor.run("vim.ui.input = function(_, done) done('add type hints') end")
    editor.keys(keys)
    see_preview(editor)
    ends = [{"line": line, "character": character} for line, character in SELECTIONS[keys]]
    assert asked(editor)[0]["range"] == {"start": ends[0], "end": ends[1]}


def test_rows_and_characters_beyond_ascii(editor):
    begin(editor)
    editor.run("vim.api.nvim_buf_set_lines(0, 3, 4, false, { \"    s = '🙂é'\" })")
    editor.keys(":3,4Seedling rewrite shorter<CR>")
    request = editor.wait_for("the question", lambda: asked(editor))[0]
    assert request["range"] == {"start": {"line": 2, "character": 0}, "end": {"line": 3, "character": 13}}


def test_words_are_asked_for_and_remembered(editor):
    begin(editor)
    editor.keys("3G<M-r>")
    editor.wait_for("the question", lambda: editor.lua("vim.fn.getcmdtype()") == "@")
    assert editor.lua("vim.fn.getcmdprompt()") == "Rewrite: "
    editor.keys("add type hints<CR>")
    see_preview(editor)
    editor.keys("q3G<M-r>")
    editor.wait_for("the question again", lambda: editor.lua("vim.fn.getcmdtype()") == "@")
    editor.keys("add<Tab>")
    editor.wait_for("the words again", lambda: editor.lua("vim.fn.getcmdline()") == "add type hints")
    editor.keys("<C-c>")
    editor.wait_for("Normal mode", lambda: editor.lua("vim.fn.mode()") == "n")
    assert len(asked(editor)) == 1


def test_listed_kinds_are_chosen_from(editor):
    begin(editor, rewrite="listed")
    editor.run(
        "vim.ui.select = function(choices, options, done)"
        "  vim.g.offered = vim.tbl_map(options.format_item, choices) done(choices[1])"
        "end"
    )
    editor.keys("3G<M-r>")
    assert see_preview(editor)[0] == "# use an f-string"
    assert editor.lua("vim.g.offered") == ["Use an f-string", "in words …"]


def test_a_model_that_does_not_rewrite_is_not_asked(editor):
    begin(editor, rewrite="none")
    editor.keys("3G<M-r>")
    editor.wait_for("the sentence", lambda: editor.note() == "Seedling: the model in use does not rewrite code")
    assert asked(editor) == []
    assert editor.lua("vim.fn.getcmdtype()") == ""


NOWHERE = {
    ":new notes.txt": "no server serves this buffer (:checkhealth seedling may tell why)",
    ":set readonly": "the buffer is read-only",
    ":set nomodifiable": "the buffer is read-only",
    ":help": "only ordinary files get ghost text, and this is a help buffer",
}


def test_where_nothing_can_be_rewritten_one_sentence_says_so(nvim_012_editor):
    editor = nvim_012_editor
    begin(editor)
    for command, sentence in NOWHERE.items():
        editor.run("vim.g.notes = {}")
        editor.keys(f"{command}<CR>:Seedling rewrite add type hints<CR>")
        editor.wait_for(command, lambda sentence=sentence: editor.note() == f"Seedling: {sentence}")
        editor.keys(":only<CR>:edit shapes.py<CR>:set noreadonly modifiable<CR>")
    assert asked(editor) == []


def test_the_server_ends_while_it_writes(editor):
    begin(editor, frames=FRAMES, wait_s=60)
    editor.keys("3G:Seedling rewrite add type hints<CR>")
    editor.wait_for("the canvas", lambda: editor.lua(FLOAT) and len(editor.lines()) > 1)
    editor.run("vim.lsp.get_clients({ name = 'seedling' })[1]:notify('exit')")
    editor.wait_for("the sentence", lambda: "Seedling: the server has ended; nothing was changed" in notes(editor))
    see_none(editor)
    assert editor.lines() == CODE


def test_the_buffer_goes_while_the_preview_is_open(editor):
    begin(editor)
    # Neovim does not wipe what stands in its last window.
    editor.keys(":botright new other.txt<CR><C-w>p3G:Seedling rewrite add type hints<CR>")
    see_preview(editor)
    editor.run("vim.cmd('bwipeout! shapes.py')")
    see_none(editor)
    assert editor.run("return require('seedling').accept_rewrite()") is False


def test_a_small_screen_is_enough(editor):
    begin(editor)
    editor.run("vim.o.columns, vim.o.lines, vim.o.winborder = 20, 6, 'none'")
    editor.keys("3G:Seedling rewrite add type hints<CR>")
    see_preview(editor)
    width, height = editor.run("return { vim.api.nvim_win_get_width(0), vim.api.nvim_win_get_height(0) }")
    assert (width, height) <= (16, 2)
    editor.run("vim.o.columns, vim.o.lines = 80, 24")
    editor.wait_for("a larger window", lambda: editor.lua("vim.api.nvim_win_get_height(0)") > height)
    editor.keys("<CR>")
    see_none(editor)
    assert editor.lines()[2] == "def f(x: int) -> int:"


def notes(editor) -> list[str]:
    return editor.lua("vim.g.notes") or []
