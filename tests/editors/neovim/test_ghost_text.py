"""Ghost text: shown, kept while it is typed along, taken away; never where it does not belong."""

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]


def test_it_appears_and_is_not_in_the_buffer(editor):
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    assert editor.lines() == ["for i in "]
    (shown,) = editor.wait_for("the server to be told", lambda: editor.messages("textDocument/didShowCompletion"))
    assert shown["item"]["insertText"] == "range(10):"
    assert editor.lua("vim.g.events[#vim.g.events]") == ["SeedlingShown", {"text": "range(10):"}]


def test_what_is_typed_along_is_not_asked_about_again(editor):
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    num_asked = editor.num_asked()
    editor.keys("ran")
    editor.see("ge(10):")
    editor.keys("ge(")
    editor.see("10):")
    editor.hear()
    assert editor.num_asked() == num_asked
    assert len(editor.messages("textDocument/didShowCompletion")) == 1


def test_newlines_are_typed_along_too(editor):
    editor.suggest("if x:\n    return y")
    editor.keys("i")
    editor.see("if x:\n    return y")
    editor.keys("if x:")
    editor.see("\n    return y")
    editor.suggest()
    editor.run("vim.bo.autoindent, vim.bo.indentexpr = false, ''")
    editor.keys("<CR>    ret")
    editor.see("urn y")
    assert editor.lines() == ["if x:", "    ret"]


def test_another_letter_takes_it_away_and_asks_anew(editor):
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.suggest("umerate(x):")
    editor.keys("en")
    editor.see("umerate(x):")


def test_deleting_takes_it_away_until_the_server_says_otherwise(editor):
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.keys("ra")
    editor.see("nge(10):")
    editor.suggest()
    editor.keys("<BS>")
    editor.see_nothing()


def test_leaving_insert_mode_takes_it_away_and_normal_mode_asks_nothing(editor):
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.keys("<Esc>")
    editor.see_nothing()
    num_asked = editor.num_asked()
    editor.keys("hhlx")
    editor.see_lines("for i i ")
    editor.keys("u")
    editor.see_lines("for i in ")
    editor.hear()
    assert editor.ghost() == ""
    assert editor.num_asked() == num_asked
    assert editor.lua("vim.g.events[#vim.g.events - 1][1]") == "SeedlingHidden"  # behind it: what `hear` heard


def test_it_is_shown_again_after_undo(editor):
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.suggest()
    editor.keys("<Esc>A?")
    editor.see_lines("for i in ?")
    editor.wait_for("no answer", lambda: editor.num_answered() == editor.num_asked() > 1)
    assert editor.ghost() == ""
    editor.suggest("range(10):")
    editor.keys("<Esc>uA")
    editor.see_lines("for i in ")
    editor.see("range(10):")


def test_dismissed_text_stays_away_and_other_text_comes(editor):
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.keys("<M-e>")
    editor.see_nothing()
    num_asked = editor.num_asked()
    editor.suggest("nge(10):")
    editor.keys("ra")
    editor.wait_for("the answer", lambda: editor.num_answered() == editor.num_asked() > num_asked)
    editor.hear()
    assert editor.ghost() == ""
    editor.suggest("nge(20):")
    column = "vim.api.nvim_win_get_cursor(0)[2]"
    for key, expected in (("<Left>", 10), ("<Right>", 11)):  # in one go they would be no movement
        editor.keys(key)
        editor.wait_for(f"the cursor after {key}", lambda expected=expected: editor.lua(column) == expected)
    editor.see("nge(20):")
    assert ["SeedlingShown", {"text": "nge(10):"}] not in editor.lua("vim.g.events")
    assert editor.lua("vim.api.nvim_get_mode().mode") == "i", "dismissing leaves no mode"


def test_a_superseded_question_is_cancelled_and_its_late_answer_dropped(editor):
    editor.suggest("late", wait_s=0.5)
    editor.keys("ia")
    editor.wait_for("the first question", lambda: editor.num_asked() == 1)
    editor.suggest("new")
    editor.keys("b")
    editor.see("new")
    assert len(editor.messages("$/cancelRequest")) == 1
    editor.wait_for("the late answer", lambda: editor.num_answered() == 2)
    editor.hear()
    assert editor.ghost() == "new"


def test_an_answer_that_comes_late_is_shown_only_as_far_as_it_fits(editor):
    editor.suggest("range(10):", wait_s=0.4)
    editor.run("vim.g.seedling = { delay_ms = 5000 }")
    editor.keys("ifor i in ")
    editor.keys("<M-x>")
    editor.wait_for("the question", lambda: editor.messages("textDocument/inlineCompletion"))
    editor.keys("ran")
    editor.see("ge(10):")
    editor.keys("<M-l>")
    editor.see_lines("for i in range(10):")


def test_it_is_drawn_behind_brackets_that_it_replaces(editor):
    editor.suggest(items=[{"insertText": "x, y)", "behind": 1}])
    editor.keys("iprint()<Left>")
    editor.see("x, y")
    editor.keys("<M-l>")
    editor.see_lines("print(x, y)")


def test_text_that_would_delete_code_is_not_drawn(editor):
    editor.suggest(items=[{"insertText": "x", "behind": 1}])
    editor.keys("iprint()<Left>")
    editor.wait_for("the answer", lambda: editor.num_answered() >= 1)
    num_asked = editor.num_asked()
    editor.keys("<M-x>")
    editor.wait_for("the answer by hand", lambda: editor.num_answered() == editor.num_asked() > num_asked)
    editor.hear()
    assert editor.ghost() == ""


def test_columns_are_counted_in_the_servers_units(editor):
    editor.suggest(items=[{"insertText": "é🙂(1)", "before": 3, "behind": 0}])
    editor.keys("i🙂 é🙂")
    editor.see("(1)")
    editor.keys("<M-l>")
    editor.see_lines("🙂 é🙂(1)")
    position = editor.messages("textDocument/inlineCompletion")[-1]["position"]
    assert position == {"line": 0, "character": 6}, "UTF-16 units: 2 + 1 + 1 + 2"


def test_some_buffers_get_none_and_say_why(editor):
    editor.suggest("range(10):")
    reasons = {
        "readonly": "the buffer is read-only",
        "nomodifiable": "the buffer is read-only",
        "buftype=nofile": "only ordinary files get ghost text, and this is a nofile buffer",
        "buftype=prompt": "only ordinary files get ghost text, and this is a prompt buffer",
    }
    for option, reason in reasons.items():
        editor.keys(f":set {option}<CR>ifor <Esc>:Seedling<CR>")
        editor.wait_for(f"the reason for {option}", lambda reason=reason: editor.note() == f"Seedling: {reason}")
        editor.keys(":set noreadonly modifiable buftype=<CR>:let g:notes = []<CR>")
    assert editor.messages("textDocument/inlineCompletion") == []


def test_a_completion_menu_hides_it(editor):
    editor.suggest("_10")
    editor.keys("iword word_one ")
    editor.see("_10")
    editor.keys("wo<C-n>")
    editor.wait_for("the menu", lambda: editor.lua("vim.fn.pumvisible()") == 1)
    editor.see_nothing()
    editor.keys("<C-e>")
    editor.see("_10")


@pytest.mark.parametrize(("plugin", "is_visible"), [("blink.cmp", "is_menu_visible"), ("cmp", "visible")])
def test_the_menu_of_a_plugin_hides_it(editor, plugin, is_visible):
    """The plug-ins themselves are not here: what they offer for this, by their documentation, is."""
    listeners = "event = { on = function(_, name, call) _G.listeners[name] = call end }"
    editor.run(
        f"_G.listeners, _G.menu = {{}}, false; package.loaded['{plugin}'] = "
        f"{{ {is_visible} = function() return _G.menu end, {listeners} }}"
    )
    change = {
        "blink.cmp": "local name = _G.menu and 'BlinkCmpMenuOpen' or 'BlinkCmpMenuClose' "
        "vim.api.nvim_exec_autocmds('User', { pattern = name })",
        "cmp": "_G.listeners[_G.menu and 'menu_opened' or 'menu_closed']()",
    }[plugin]
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.run(f"_G.menu = true; {change}")
    editor.see_nothing()
    editor.run(f"_G.menu = false; {change}")
    editor.see("range(10):")


def test_cores_own_ghost_text_is_switched_off_for_this_server_only(editor):
    if editor.lua("vim.lsp.inline_completion == nil"):
        editor.suggest("x")
        editor.keys("i")
        editor.see("x")
        return
    editor.run("vim.lsp.inline_completion.enable()")
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    cores = "vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('nvim.lsp.inline_completion'), 0, -1, {})"
    assert editor.lua(cores) == []
    assert editor.lua("vim.lsp.inline_completion.is_enabled()")


def test_the_highlight_groups_can_be_changed_and_have_a_default(editor):
    link = "vim.api.nvim_get_hl(0, { name = 'SeedlingGhost' }).link"
    assert editor.lua(link) in ("ComplHint", "NonText")
    editor.keys(":hi! link SeedlingGhost Title<CR>:edit<CR>")
    editor.wait_for("the other group", lambda: editor.lua(link) == "Title")
    editor.wait_for("the server again", editor.attached)
    assert editor.lua(link) == "Title"
