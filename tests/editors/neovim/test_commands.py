""":Seedling and its subcommands, the status and its statusline form, focus, :checkhealth: with a scripted server."""

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]


def orders(editor, name):
    told = editor.messages("workspace/executeCommand")
    return [params["arguments"] for params in told if params["command"] == name]


def test_snooze(editor):
    editor.suggest(commands={"seedling.snooze": None})
    editor.keys(":Seedling snooze<CR>:Seedling snooze 30<CR>:Seedling snooze 0<CR>")
    editor.wait_for("three orders", lambda: orders(editor, "seedling.snooze") == [[10], [30], [0]])
    editor.wait_for("the answer", lambda: editor.note() == "Seedling: awake again")
    assert "Seedling: quiet for 30 minutes (:Seedling snooze 0 ends it)" in editor.lua("vim.g.notes")


@pytest.mark.parametrize(
    ("what", "command", "said"),
    [("buffer", "seedling.setDocument", "this buffer"), ("language", "seedling.setLanguage", "python files")],
)
def test_toggle_a_buffer_or_a_language(editor, what, command, said):
    editor.suggest(commands={command: None})
    editor.keys(f":Seedling toggle {what}<CR>")
    editor.wait_for("off", lambda: editor.note() == f"Seedling: ghost text off for {said}")
    editor.keys(f":Seedling toggle {what}<CR>")
    editor.wait_for("on", lambda: editor.note() == f"Seedling: ghost text on for {said}")
    subject = editor.lua("vim.uri_from_bufnr(0)") if what == "buffer" else "python"
    assert orders(editor, command) == [[subject, False], [subject, True]]


def test_toggle_all_takes_away_what_is_shown_and_brings_it_back(editor):
    editor.suggest("range(10):")
    editor.run("vim.keymap.set('i', '<M-t>', '<Cmd>Seedling toggle<CR>')")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.keys("<M-t>")
    editor.see_nothing()
    assert editor.lua("require('seedling').statusline()") == "Seedling off"
    editor.keys("<M-t>")
    editor.see("range(10):")


def test_trigger_from_the_command_line_enters_insert_mode(editor):
    editor.suggest("range(10):")
    editor.run("require('seedling.suggest').switch(false)")
    editor.keys("ifor i in <Esc>:Seedling trigger<CR>")
    editor.see("range(10):")
    assert editor.messages("textDocument/inlineCompletion")[0]["position"] == {"line": 0, "character": 9}


def test_restart_starts_another_server(editor):
    identity = "(vim.lsp.get_clients({ name = 'seedling' })[1] or {}).id"
    first = editor.lua(identity)
    editor.keys(":Seedling restart<CR>")
    editor.wait_for("another server", lambda: editor.attached() and editor.lua(identity) not in (None, first))
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")


def test_log_opens_a_log(editor):
    editor.keys(":Seedling log<CR>")
    editor.wait_for("a log", lambda: (editor.lua("vim.api.nvim_buf_get_name(0)") or "").endswith(".log"))


WRONG = {
    "fly": "there is no :Seedling fly; there are health, log, restart, rewrite, snooze, status, toggle, trigger, watch",
    "watch closely": "there is no :Seedling watch closely; there is plain",
    "snooze soon": '"soon" is not a number of minutes',
    "snooze -1": '"-1" is not a number of minutes',
    "toggle everything": "there is no :Seedling toggle everything; there are buffer and language",
    "restart now": ":Seedling restart takes no argument",
    "snooze 1 2": ":Seedling snooze takes one argument",
    "snooze 5": "there is no command seedling.snooze",
}


def test_wrong_use_gets_one_sentence(editor):
    for typed, sentence in WRONG.items():
        editor.keys(f":Seedling {typed}<CR>")
        editor.wait_for("the sentence", lambda sentence=sentence: editor.note() == f"Seedling: {sentence}")
    assert len(editor.lua("vim.g.notes")) == len(WRONG)


def test_a_range_is_for_rewriting(editor):
    editor.keys(":1Seedling status<CR>")
    editor.wait_for("the sentence", lambda: editor.note() == "Seedling: :Seedling status takes no range")


def test_arguments_are_completed(editor):
    offered = {
        "Seedling s": ["snooze", "status"],
        "Seedling toggle ": ["buffer", "language"],
        "Seedling snooze 3": ["30"],
        "Seedling restart ": [],
        "Seedling watch ": ["plain"],
        "Seedling toggle buffer ": [],
    }
    for typed, expected in offered.items():
        assert editor.lua(f"vim.fn.getcompletion('{typed}', 'cmdline')") == expected, typed


def test_status_tells_why_the_document_in_focus_is_quiet(editor):
    status = {"kind": "Inactive", "busy": False, "message": "50 % of it is excluded.", "reason": "excluded"}
    editor.run(
        "vim.lsp.get_clients({ name = 'seedling' })[1]:notify('test/notify', { method = 'didChangeStatus', params = "
        "{ kind = 'Inactive', busy = false, message = '50 % of it is excluded.', reason = 'excluded' } })"
    )
    editor.wait_for("the status", lambda: ["SeedlingStatus", status] in editor.lua("vim.g.events"))
    assert editor.lua("require('seedling').status()") == "Seedling: 50 % of it is excluded."
    assert editor.lua("require('seedling').statusline()") == "Seedling quiet"
    editor.run("require('seedling.status').set({ kind = 'Normal', busy = true, message = '40 %' })")
    assert editor.lua("require('seedling').statusline()") == "Seedling 40 %%"
    line = "vim.api.nvim_eval_statusline([[%{%v:lua.require'seedling'.statusline()%}]], {}).str"
    assert editor.lua(line) == "Seedling 40 %"


def test_status_of_a_file_that_is_not_served(editor):
    editor.keys(":new notes.txt<CR>:Seedling<CR>")
    editor.wait_for("the status", lambda: editor.note() == "Seedling: not used for text files")
    assert editor.lua("require('seedling').statusline()") == ""


def test_the_server_is_told_which_document_has_the_focus(editor):
    def focused():
        return [params.get("textDocument", {}).get("uri") for params in editor.messages("textDocument/didFocus")]

    uri = editor.lua("vim.uri_from_bufnr(0)")
    editor.wait_for("the first focus", lambda: focused()[-1:] == [uri])
    editor.keys(":new notes.txt<CR>")
    editor.wait_for("no focus", lambda: focused()[-1:] == [None])
    editor.keys("<C-w>p")
    editor.wait_for("the focus again", lambda: focused()[-1:] == [uri])


def test_health_asks_the_server_about_the_file_one_came_from(editor):
    told = {
        "kind": "Normal", "busy": False, "message": "ready", "model": "tiny", "device": "cpu", "languages": ["python"],
        "document": {"uri": "", "reason": "document_off", "sentence": "Ghost text is off for this document."},
        "last": {"reason": "mid_word", "sentence": "The cursor stood inside a word."},
    }  # fmt: skip
    editor.suggest("range(10):", commands={"seedling.status": told})
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.keys("<Esc>:Seedling health<CR>")
    editor.wait_for("the report", lambda: "log of the LSP client" in "\n".join(editor.lines()), 30)
    report = "\n".join(editor.lines())
    for line in (
        "engine: ready", "model tiny on cpu", "languages: python", "shapes.py gets no ghost text: Ghost text is off",
        "the last answer: The cursor stood inside a word.", "latency of the last answers (1): median",
        "1 of them held text",
    ):  # fmt: skip
        assert line in report, line
    assert orders(editor, "seedling.status") == [[f"file://{editor.lua('vim.uv.cwd()')}/shapes.py"]]


def test_health_names_options_that_are_wrong(editor):
    editor.run("vim.g.seedling = { ghost_txt = true, delay_ms = 'long' }")
    editor.keys(":checkhealth seedling<CR>")
    editor.wait_for("the report", lambda: "log of the LSP client" in "\n".join(editor.lines()), 30)
    report = "\n".join(editor.lines())
    assert 'vim.g.seedling has no option "ghost_txt"; there are delay_ms, ghost_text' in report
    assert 'vim.g.seedling.delay_ms must be a number, not "long"' in report
    editor.run("package.loaded['seedling.suggest'] = nil; require('seedling.suggest')")
    assert len(editor.lua("vim.g.notes")) == 2, "each is named when the plug-in loads"
    assert "the server does not tell its state: there is no command seedling.status" in report
