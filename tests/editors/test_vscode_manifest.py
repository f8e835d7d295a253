"""The extension's package.json agrees with the server: defaults, commands, what may be set where. Needs no editor."""

import json
import re
from pathlib import Path

import msgspec

from lsp_server.features.mend import IGNORE
from lsp_server.handlers import code_action, next_edit, rewrite, watch
from lsp_server.handlers import commands as server_commands
from lsp_server.handlers.inline_completion import ACCEPTED
from lsp_server.settings import Settings

EXTENSION = Path(__file__).parents[2] / "editors" / "vscode"
MANIFEST = json.loads((EXTENSION / "package.json").read_text())
CONTRIBUTED = MANIFEST["contributes"]
PROPERTIES = CONTRIBUTED["configuration"]["properties"]
SERVER_COMMANDS = {
    ACCEPTED,
    server_commands.SNOOZE,
    server_commands.SET_DOCUMENT,
    server_commands.SET_LANGUAGE,
    server_commands.STATUS,
    next_edit.ACCEPTED,
    next_edit.NEXT_EDIT,
    code_action.APPLY,
    rewrite.REWRITE,
    watch.WATCH,
    IGNORE,
}


def test_defaults_are_those_of_the_server():
    fields = {f"seedling.{field.encode_name}": field for field in msgspec.structs.fields(Settings)}
    shared = PROPERTIES.keys() & fields.keys()
    assert {"seedling.confidence", "seedling.comments", "seedling.context", "seedling.exclude"} <= shared
    for name in shared:
        assert msgspec.convert(PROPERTIES[name]["default"], fields[name].type) == fields[name].default, name


def test_no_command_has_the_name_of_one_of_the_server():
    """The language client registers the server's commands by itself; VS Code refuses a second one of that name."""
    assert not {command["command"] for command in CONTRIBUTED["commands"]} & SERVER_COMMANDS


def test_every_command_exists_and_is_documented():
    source = "\n".join(path.read_text() for path in (EXTENSION / "src").glob("*.ts"))
    readme = (EXTENSION / "README.md").read_text()
    for command in CONTRIBUTED["commands"]:
        name = command["command"].removeprefix("seedling.")
        assert re.search(rf"\b{name}\b", source), f"{name} is contributed, but nowhere registered"
        assert command["title"] in readme, f"README.md does not name the command {command['title']!r}"


def test_keys_of_a_preview_hold_in_it_alone():
    """The same condition for its keys, its buttons and its commands; the scheme is that of src/preview.ts."""
    condition = "isInDiffEditor && resourceScheme == seedling-rewrite"
    names = {"seedling.acceptRewrite", "seedling.rejectRewrite", "seedling.retryRewrite"}
    keys = {key["command"]: key["when"] for key in CONTRIBUTED["keybindings"]}
    buttons = {item["command"]: item["when"] for item in CONTRIBUTED["menus"]["editor/title"]}
    palette = {item["command"]: item["when"] for item in CONTRIBUTED["menus"]["commandPalette"]}
    assert buttons == dict.fromkeys(names, condition)
    for name in names:
        assert keys[name].startswith(f"editorTextFocus && {condition}")
        assert palette[name] == condition
    assert "'seedling-rewrite'" in (EXTENSION / "src" / "preview.ts").read_text()


def test_the_order_of_a_menu_knows_the_command_that_ignores():
    assert f"'{IGNORE}'" in (EXTENSION / "src" / "actionOrder.ts").read_text()


def test_the_denoise_view_loads_nothing_from_elsewhere():
    page = (EXTENSION / "src" / "denoisePage.ts").read_text()
    assert "default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'" in page
    assert not re.search(r"innerHTML|eval\(|https?:", (EXTENSION / "media" / "denoise.js").read_text())
    assert not re.search(r"https?:|@import|url\(", (EXTENSION / "media" / "denoise.css").read_text())


def test_every_setting_is_documented():
    readme = (EXTENSION / "README.md").read_text()
    for name in PROPERTIES:
        assert f"`{name}`" in readme, name


def test_a_workspace_may_only_restrict():
    """What chooses programs or opens more is the user's alone; what is left to a workspace can only switch off."""
    for_workspaces = {name for name, set_ in PROPERTIES.items() if set_["scope"] not in ("application", "machine")}
    assert for_workspaces == {"seedling.enable", "seedling.exclude"}


def test_walkthrough_files_are_there():
    for step in CONTRIBUTED["walkthroughs"][0]["steps"]:
        media = step["media"]
        assert (EXTENSION / (media.get("markdown") or media["svg"])).is_file()
        assert "markdown" in media or media["altText"]
