"""The next edit in Neovim: asked for only where it is on, drawn, accepted as one change, dismissed for good."""

import json

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]

ASKED = "textDocument/copilotInlineEdit"
ON = {"edits": [{"old": "old", "text": "new"}], "status": {"nextEdit": True}}
KEYS = """
for name, key in pairs({ accept = '<M-y>', dismiss = '<M-q>' }) do
  vim.keymap.set({ 'n', 'i' }, key, '<Plug>(seedling-' .. name .. '-edit)')
end
"""


def begin(editor, status) -> None:
    """The status comes when the server starts, before the script can say it: so it is sent once more."""
    editor.run(KEYS)
    editor.suggest(**ON)
    params = {"kind": "Normal", "busy": False, "message": "", **status}
    message = json.dumps({"method": "didChangeStatus", "params": params})
    client = "vim.lsp.get_clients({ name = 'seedling' })[1]"
    editor.run(f"{client}:notify('test/notify', vim.json.decode('{message}'))")
    if status:
        editor.wait_for("the status", lambda: statuses(editor)[-1:] == [True])


def statuses(editor) -> list[bool | None]:
    events = editor.lua("vim.g.events") or []
    return [data.get("nextEdit") for name, data in events if name == "SeedlingStatus"]


def shown(editor) -> str:
    return editor.lua("require('seedling.next_edit').shown()") or ""


def see(editor, text: str) -> None:
    editor.wait_for(f"the next edit {text!r}", lambda: shown(editor) == text)


def test_accepted_it_is_one_change(editor):
    begin(editor, {"nextEdit": True})
    editor.keys("inew = 1<CR>print(old)<Esc>gg")
    see(editor, "Follow: ↓ line 2")
    editor.keys("<M-y>")
    editor.see_lines("new = 1", "print(new)")
    assert editor.lua("vim.api.nvim_win_get_cursor(0)") == [2, 9]
    commands = editor.wait_for("the command", lambda: editor.messages("workspace/executeCommand"))
    assert [command["arguments"] for command in commands] == [["edit-0"]]
    editor.keys("u")
    editor.see_lines("new = 1", "print(old)")


def test_dismissed_the_server_is_told(editor):
    begin(editor, {"nextEdit": True})
    editor.keys("iprint(old)<Esc>")
    see(editor, "Follow: here")
    editor.suggest()
    editor.keys("<M-q>")
    see(editor, "")
    assert editor.lines() == ["print(old)"]
    editor.wait_for("the rejection", lambda: editor.messages("notifyRejected") == [{"uuids": ["edit-0"]}])


def test_a_deletion_is_told_in_words(editor):
    begin(editor, {"nextEdit": True})
    editor.suggest(edits=[{"old": "old", "text": ""}])
    editor.keys("iprint(old)<Esc>")
    see(editor, "Follow: here")
    marks = editor.run(
        "local names = vim.api.nvim_get_namespaces()"
        "return vim.api.nvim_buf_get_extmarks(0, names['seedling.next_edit'], 0, -1, { details = true })"
    )
    assert [chunk[0] for mark in marks for chunk in mark[3].get("virt_text", [])] == ["Follow: here"]


def test_any_change_takes_it_away(editor):
    begin(editor, {"nextEdit": True})
    editor.keys("iprint(old)<Esc>")
    see(editor, "Follow: here")
    editor.suggest(status={"nextEdit": True})
    editor.keys("Ox<Esc>")
    see(editor, "")
    assert editor.lua("require('seedling').accept_edit()") is False


def test_out_of_sight_accepting_goes_there_first(editor):
    begin(editor, {"nextEdit": True})
    editor.run("vim.api.nvim_buf_set_lines(0, 0, -1, false, vim.fn['repeat']({ 'x = 1' }, 300))")
    editor.keys("Goprint(old)<Esc>gg")
    see(editor, "Follow: ↓ line 301")
    editor.keys("<M-y>")
    editor.wait_for("the jump", lambda: editor.lua("vim.api.nvim_win_get_cursor(0)[1]") == 301)
    assert editor.lines()[-1] == "print(old)"
    editor.keys("<M-y>")
    editor.wait_for("the edit", lambda: editor.lines()[-1] == "print(new)")


def test_where_it_is_off_nothing_is_asked(editor):
    begin(editor, {})
    editor.suggest("later", **ON)
    editor.keys("iprint(old)")
    editor.see("later")
    assert shown(editor) == ""
    begin(editor, {"nextEdit": True})
    editor.keys(";")
    asked = editor.wait_for("a question", lambda: editor.messages(ASKED))
    editor.wait_for("the edit", lambda: shown(editor) != "")
    version = editor.lua("vim.lsp.util.buf_versions[vim.api.nvim_get_current_buf()]")
    assert {one["textDocument"]["version"] for one in asked} == {version}, "asked before it was switched on"


def test_a_buffer_that_cannot_be_changed_is_told_of(editor):
    begin(editor, {"nextEdit": True})
    editor.keys(":set nomodifiable<CR><Cmd>lua require('seedling').suggest_edit()<CR>")
    editor.wait_for("the sentence", lambda: editor.note() == "Seedling: the buffer is read-only")
    assert editor.lua("require('seedling').accept_edit()") is False
