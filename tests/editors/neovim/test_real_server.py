"""The plug-in with the real server and engine, once: in a terminal, as a person sees it, and in the health report.

What the model suggests is its affair: the test holds that what was shown is what the file then holds. Everything else
about the plug-in is tested with a scripted server, in the files beside this one.
"""

import shutil

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(420)]


def test_ghost_text_of_the_engine_in_a_terminal(real, terminal, artifacts, sandbox, wait_for):
    neovim = terminal(real.command, real.neovim)
    real.wait_until_ready()
    typed, ghost = real.type_until_ghost(terminal.type)
    shown = (typed + ghost).split("\n")
    wait_for("the ghost text on the screen", lambda: shown[0].rstrip() in terminal.screen())
    terminal.keep("ghost", artifacts)
    row, colour = terminal.screen().index(shown[0].rstrip()), colour_of(neovim, "SeedlingGhost")
    wait_for("a hint's colour", lambda: colour in terminal.screen(colours=True)[row])
    assert neovim.lines()[-1] == typed, "ghost text must not be in the buffer"

    before = neovim.lines()
    terminal.press("M-o")
    wait_for("a word in the buffer", lambda: neovim.lines() != before)
    terminal.keep("word", artifacts)
    terminal.press("M-l")
    wait_for("the accepted lines in the buffer", lambda: neovim.lines()[-len(shown) :] == shown)
    terminal.press("Escape", ":w", "Enter")
    file = sandbox.workspace / "shapes.py"
    wait_for("the file on disk", lambda: file.read_text().endswith("\n".join(shown) + "\n"))
    terminal.keep("accepted", artifacts)

    terminal.press(":Seedling status", "Enter")
    wait_for("the status", lambda: any("Seedling: " in line for line in terminal.screen()))
    terminal.keep("status", artifacts)

    for order, sentence in (("toggle buffer", "off"), ("toggle buffer", "Ready"), ("snooze 5", "noozed")):
        terminal.press(f":Seedling {order}", "Enter")
        wait_for(f"the status after {order}", lambda sentence=sentence: sentence in status_line(neovim))
        terminal.keep(order.replace(" ", "-"), artifacts)
    terminal.press(":Seedling snooze 0", "Enter")

    terminal.press(":checkhealth seedling", "Enter")
    wait_for("the health report", lambda: "log of the LSP client" in "\n".join(neovim.lines()), 60)
    report = "\n".join(neovim.lines())
    (artifacts / "checkhealth.txt").write_text(report)
    terminal.keep("checkhealth", artifacts)
    assert "ERROR" not in report
    assert f"root {sandbox.workspace}" in report
    for told in (
        "engine: ",
        "model ",
        "languages: python",
        "shapes.py may get ghost text",
        "latency of the last answers",
    ):
        assert told in report, told

    # The help file makes tags without complaint: malformed and duplicate ones are errors.
    doc = sandbox.folder / "doc"
    doc.mkdir()
    shutil.copy(real.plugin / "doc" / "seedling.txt", doc)
    neovim.keys(f"<Esc>:helptags {doc}<CR>")
    tags = wait_for("help tags", lambda: (doc / "tags").exists() and (doc / "tags").read_text())
    assert {"seedling", "seedling-keys", ":Seedling"} <= {line.split("\t")[0] for line in tags.splitlines()}


def status_line(neovim) -> str:
    return neovim.lua("require('seedling').status()") or ""


def colour_of(neovim, group: str) -> str:
    """The escape sequence parameters of the colour in which Neovim draws a highlight group."""
    rgb = neovim.lua(f"vim.api.nvim_get_hl(0, {{ name = '{group}', link = false }}).fg")
    return f"38;2;{rgb >> 16};{rgb >> 8 & 255};{rgb & 255}"
