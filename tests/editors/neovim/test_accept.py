"""Accepting: all, a word, a line; the rest stays; the server is told how much; undo, cycling, the Tab chain."""

from pathlib import Path

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]

PARTLY = "textDocument/didPartiallyAcceptCompletion"


def accepted_commands(editor):
    told = editor.messages("workspace/executeCommand")
    return [params["arguments"] for params in told if params["command"] == "seedling.accepted"]


def test_all_of_it(editor):
    editor.suggest("range(10):\n    print(i)")
    editor.keys("ifor i in ")
    editor.see("range(10):\n    print(i)")
    editor.suggest()
    editor.keys("<M-l>")
    editor.see_lines("for i in range(10):", "    print(i)")
    assert editor.lua("vim.api.nvim_win_get_cursor(0)") == [2, 12]
    editor.wait_for("the command of the item", lambda: accepted_commands(editor) == [["item-0"]])
    assert editor.messages(PARTLY) == []
    assert ["SeedlingAccepted", {"text": "range(10):\n    print(i)", "amount": "all"}] in editor.lua("vim.g.events")


def test_words_one_after_another_and_the_rest_stays(editor):
    editor.suggest("range(10): pass")
    editor.keys("ifor i in ")
    editor.see("range(10): pass")
    num_asked = editor.num_asked()
    for rest in ("(10): pass", "10): pass", "): pass", " pass"):
        editor.keys("<M-o>")
        editor.see(rest)
    assert editor.lines() == ["for i in range(10):"]
    editor.hear()
    assert editor.num_asked() == num_asked
    editor.suggest()
    editor.keys("<M-o>")
    editor.see_lines("for i in range(10): pass")
    editor.wait_for("what was accepted", lambda: [p["acceptedLength"] for p in editor.messages(PARTLY)][-1:] == [15])
    assert [p["acceptedLength"] for p in editor.messages(PARTLY)] == [5, 6, 8, 10, 15]
    assert editor.messages(PARTLY)[0]["item"]["command"]["arguments"] == ["item-0"]


def test_the_rest_is_drawn_before_the_screen_is(editor):
    """No flicker: there is no moment between a word's acceptance and the drawing of the rest."""
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    shown = editor.run("require('seedling').accept_word() return require('seedling.draw').shown()")
    assert shown == "(10):"


def test_lines_one_after_another(editor):
    editor.suggest("a = 1\n    b = 2\nc = 3")
    editor.keys("i")
    editor.see("a = 1\n    b = 2\nc = 3")
    editor.keys("<M-b>")
    editor.see("\n    b = 2\nc = 3")
    editor.keys("<M-b>")
    editor.see("\nc = 3")
    assert editor.lines() == ["a = 1", "    b = 2"]


def test_accepted_units_are_utf_16(editor):
    editor.suggest("🙂é x")
    editor.keys("i# ")
    editor.see("🙂é x")
    editor.keys("<M-b>")
    editor.see_lines("# 🙂é x")
    editor.wait_for("the units", lambda: [p["acceptedLength"] for p in editor.messages(PARTLY)] == [5])


def test_a_word_in_front_of_a_bracket_that_is_replaced(editor):
    editor.suggest(items=[{"insertText": "x, y) + z", "behind": 1}])
    editor.keys("iprint()<Left>")
    editor.see("x, y + z")
    for line in ("print(x)", "print(x,)", "print(x, y)", "print(x, y)"):
        editor.keys("<M-o>")
        editor.see_lines(line)
    editor.see(" + z")
    editor.suggest()
    editor.keys("<M-l>")
    editor.see_lines("print(x, y) + z")


def test_what_is_typed_before_it_is_accepted_is_never_doubled(editor):
    """Keys in one go: the acceptance is carried out before the screen or the server knows of the letters."""
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.suggest()
    editor.keys("ran<M-l>")
    editor.see_lines("for i in range(10):")


def test_letters_that_do_not_fit_make_accepting_do_nothing(editor):
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.suggest()
    editor.keys("x<M-l>y")
    editor.see_lines("for i in xy")


def test_undo_takes_the_acceptance_back_and_not_what_was_typed(editor):
    editor.suggest("range(10):")
    editor.keys("ifor i in ")
    editor.see("range(10):")
    editor.suggest()
    editor.keys("<M-l><Esc>")
    editor.see_lines("for i in range(10):")
    editor.keys("u")
    editor.see_lines("for i in ")


def test_alternatives_are_asked_for_once_and_go_round(editor):
    editor.suggest("a()", alternatives=[{"insertText": "b()"}, {"insertText": "c()"}])
    editor.keys("ix = ")
    editor.see("a()")
    for shown in ("b()", "c()", "a()"):
        editor.keys("<M-n>")
        editor.see(shown)
    editor.keys("<M-p>")
    editor.see("c()")
    kinds = [params["context"]["triggerKind"] for params in editor.messages("textDocument/inlineCompletion")]
    assert kinds.count(1) == 1
    editor.suggest()
    editor.keys("<M-l>")
    editor.see_lines("x = c()")
    editor.wait_for("the command of the item", lambda: accepted_commands(editor) == [["item-2"]])


def test_where_there_is_no_other_the_one_stays(editor):
    editor.suggest("a()")
    editor.keys("ix = ")
    editor.see("a()")
    editor.keys("<M-n>")
    editor.wait_for(
        "a question by hand",
        lambda: [p["context"]["triggerKind"] for p in editor.messages("textDocument/inlineCompletion")][-1:] == [1],
    )
    editor.see("a()")


TAB_CHAIN = """
vim.keymap.set('i', '<Tab>', function()
  if vim.fn.pumvisible() == 1 then
    return '<C-n>'
  elseif require('seedling').visible() then
    return '<Plug>(seedling-accept)'
  elseif vim.snippet.active({ direction = 1 }) then
    return '<Cmd>lua vim.snippet.jump(1)<CR>'
  end
  return '<Tab>'
end, { expr = true, remap = true })
"""


def test_the_documented_tab_chain(editor):
    editor.run(TAB_CHAIN + "vim.bo.expandtab, vim.bo.softtabstop = true, 4")
    editor.keys("i<Tab>")
    editor.see_lines("    ")
    editor.suggest("a()")
    editor.keys("x = ")
    editor.see("a()")
    editor.suggest()
    editor.keys("<Tab>")
    editor.see_lines("    x = a()")
    editor.run("vim.snippet.expand('f($1, $2)')")
    editor.keys("1<Tab>2")
    editor.see_lines("    x = a()f(1, 2)")
    assert TAB_CHAIN.strip() in help_text(), "the help documents another chain than this"


def help_text() -> str:
    """The help file without the indentation of its code blocks."""
    text = (Path(__file__).parents[3] / "editors" / "neovim" / "doc" / "seedling.txt").read_text()
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())


def test_accept_may_be_called_from_an_expression_mapping(editor):
    """As blink.cmp's and nvim-cmp's keymaps do; text must not be changed there, so it is done right after."""
    editor.run("vim.keymap.set('i', '<Tab>', function() return require('seedling').accept() and '' or 'T' end, "
               "{ expr = true })")  # fmt: skip
    editor.suggest("a()")
    editor.keys("ix = ")
    editor.see("a()")
    editor.suggest()
    editor.keys("<Tab><Tab>")
    editor.see_lines("x = a()T")


def test_asking_by_hand_works_while_ghost_text_is_off(editor):
    editor.keys(":Seedling toggle<CR>")
    editor.wait_for("ghost text off", lambda: editor.note() == "Seedling: ghost text off")
    editor.suggest("a()")
    editor.keys("ix = ")
    editor.see_lines("x = ")
    editor.hear()
    assert editor.num_asked() == 0
    editor.keys("<M-x>")
    editor.see("a()")
    assert editor.messages("textDocument/inlineCompletion")[0]["context"] == {"triggerKind": 1}


def test_asking_by_hand_in_vain_says_why(editor):
    told = {"kind": "Normal", "last": {"reason": "low_confidence", "sentence": "The model was not sure enough."}}
    editor.suggest(commands={"seedling.status": told})
    editor.keys("ix = <M-x>")
    editor.wait_for("the sentence", lambda: editor.note() == "Seedling: The model was not sure enough.")
    assert editor.lines() == ["x = "]
