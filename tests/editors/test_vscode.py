"""VS Code with the packaged extension and the real server, used as a person does.

VS Code is code-server, its open build behind a web page; the browser is driven by vscode_*.mjs, which report what they
saw. What the model suggests is its affair: the tests hold that what was shown is what the file then holds, that every
switch keeps quiet and says why, and that the first steps of the extension's README lead to ghost text. Left out: the
parts without VS Code, whose tests lie beside them (editors/vscode/test, run by the last test here).
"""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

sys.path.append(str(Path(__file__).parent))

import vscode_engine
from fake_engine import FakeEngine

pytestmark = [pytest.mark.editors, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
EXTENSION = ROOT / "editors" / "vscode"

SETTINGS = {
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoCheckUpdates": False,
    "extensions.autoUpdate": "off",
    "chat.disableAIFeatures": True,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "files.autoSave": "off",
    # The list of words would take the Tab key.
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    # How sure the model has to be, and how fast, is not what is tested here.
    "seedling.confidence": 0,
    "seedling.automaticDeadlineMs": 5_000,
    "seedling.invokedDeadlineMs": 10_000,
}
ON = {"seedling.mend.enable": True, "seedling.nextEdit.enable": True}
# What a quick fix is for.
BROKEN = "def area(width, height)\n    return width * height\n"
WATCHED = "import json\n\n\ndef load(path):\n    with open(path) as file:\n        return json."
# An opening that any model of Python continues with several words: `"__main__":`.
OPENING = "if __name__ == "


def run(command: list[str], timeout_s: float, env: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode != 0:
        pytest.fail(f"{command[0]} failed ({done.returncode}):\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


@pytest.fixture(scope="session")
def vsix(npm_program) -> Path:
    """The extension of this checkout, its types checked, bundled and packaged; it stays in dist/."""
    out = ROOT / "dist" / "seedling.vsix"
    run(["bash", str(ROOT / "editors" / "tools" / "build-extension.sh"), str(out)], 300)
    return out


@pytest.fixture(scope="session")
def playwright(npm_program) -> None:
    """The browser driver's npm package, as locked."""
    if not (HERE / "node_modules" / "playwright-core").exists():
        run([npm_program, "ci", "--no-audit", "--no-fund", "--loglevel=error"], 120, cwd=HERE)


@dataclass(frozen=True)
class CodeServer:
    """code-server with folders of its own in a test's sandbox."""

    command: list[str]
    env: dict[str, str]
    settings: Path
    serve: Callable[[Path], AbstractContextManager[str]]
    drive: Callable[[str, dict], dict]

    def install(self, vsix: Path) -> None:
        run([*self.command, "--install-extension", str(vsix)], 120, self.env)


@pytest.fixture
def code_server(sandbox, code_server_prefix, chromium_program, playwright, wait_for, artifacts) -> CodeServer:
    data, extensions = sandbox.folder / "data", sandbox.folder / "extensions"
    settings = data / "User" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    # The key that the extension's README proposes for those who keep Tab for indenting.
    proposed = re.search(r'{ "key": "ctrl\+l".*?}', (EXTENSION / "README.md").read_text(), re.DOTALL)
    assert proposed
    settings.with_name("keybindings.json").write_text(f"[{proposed[0]}]")
    # VS Code takes PATH from a login shell: there the extension has to find the server, as on a person's machine.
    (sandbox.folder / "home" / ".profile").write_text(f"export PATH='{sandbox.env['PATH']}'\n")
    env = sandbox.env | {"SHELL": "/bin/bash"}
    node = str(code_server_prefix / "node" / "bin" / "node")
    entry = code_server_prefix / "node_modules" / "code-server" / "out" / "node" / "entry.js"
    command = [node, str(entry), "--user-data-dir", str(data), "--extensions-dir", str(extensions)]
    quiet = (
        "--disable-telemetry",
        "--disable-update-check",
        "--disable-workspace-trust",
        "--disable-getting-started-override",
    )

    @contextmanager
    def serve(folder: Path) -> Iterator[str]:
        path = artifacts / "code-server.log"
        with path.open("w") as log:
            process = subprocess.Popen(
                [*command, *quiet, "--auth", "none", "--bind-addr", "127.0.0.1:0"],
                env=env, cwd=sandbox.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
            try:
                # It finds a free port itself: between our finding one and its binding it another program might.
                address = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
                said = wait_for("code-server's port", lambda: address.search(path.read_text()), 90)
                wait_for("code-server", lambda: answers(f"{said[1]}/healthz"), 90)
                yield f"{said[1]}/?folder={folder}"
            finally:
                process.terminate()  # what does not end is killed with the sandbox
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)

    def drive(script: str, plan: dict) -> dict:
        plan = {
            "chromium": chromium_program,
            "profile": str(sandbox.folder / "chromium"),
            "settings": str(settings),
            "readyMs": 180_000,
            "firstGhostTextMs": 90_000,
            "shots": str(artifacts),
            **plan,
        }
        seen = json.loads(run([node, str(HERE / script), json.dumps(plan)], 720, env))
        (artifacts / "seen.json").write_text(json.dumps(seen, indent=1))
        return seen

    return CodeServer(command, env, settings, serve, drive)


@pytest.fixture
def engine(sandbox) -> Iterator[FakeEngine]:
    """An engine without a model; what it says stands in vscode_engine.py."""
    started = vscode_engine.start(sandbox.folder / "engine.sock")
    yield started
    started.stop()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_vscode(code_server, vsix, sandbox, seedling_program, openings, artifacts):
    """Ghost text appears, Tab accepts it, the saved file holds it; a quick fix mends an error, and is undone."""
    (sandbox.workspace / "shapes.py").write_text('"""Shapes."""\n\nimport math\n\n\n')
    (sandbox.workspace / "broken.py").write_text(BROKEN)
    (sandbox.workspace / "watched.py").write_text(WATCHED)
    code_server.install(vsix)
    with code_server.serve(sandbox.workspace) as url:
        plan = {"url": url, "file": "shapes.py", "broken": "broken.py", "watched": "watched.py", "openings": openings}
        token = f"token-of-a-test-{os.getpid()}"
        seen = code_server.drive("vscode_smoke.mjs", {**plan, "token": token})
    assert seen["ghost"].strip(), "the ghost text was blank"
    assert seen["shown"].startswith(seen["typed"])
    assert seen["accepted"].rstrip() == seen["shown"].rstrip()
    saved = (sandbox.workspace / "shapes.py").read_text().split("\n")[5:]
    assert saved[0].rstrip() == seen["shown"].rstrip()
    fix = seen["fix"]
    ast.parse(fix["fixed"])
    assert fix["fixed"].endswith("\n    return width * height")
    assert fix["broken"] == fix["unfixed"] == BROKEN.rstrip()
    assert re.search(r"^\d+ steps?, \d+ forwards?, \d+ corrections?, \d+ ms|\.$", seen["watched"])
    # In the server's environment and nowhere else: no engine has it, nor stands it on a command line.
    assert seen["knowing"]
    assert all(re.search(r"\bserve\b", line) and "model.engine" not in line for line in seen["knowing"].split("\n"))
    assert token not in seen["knowing"]
    picture(artifacts / "fix.png")
    picture(artifacts / "watch.png")


def test_vscode_features(code_server, vsix, sandbox, seedling_program, tmp_path):
    """Parts of a suggestion, asking, switches, snooze, reasons, diagnostics, neighbours, notebooks, accessibility."""
    workspace = sandbox.workspace
    (workspace / "shapes.py").write_text('"""Shapes."""\n\nimport math\n\n\n')
    (workspace / "shapes.js").write_text("let shapes = []\n")
    (workspace / "cells.ipynb").write_text(notebook("# Shapes", "import math"))
    code_server.install(vsix)
    code_server.install(neighbour(tmp_path))
    with code_server.serve(workspace) as url:
        plan = {"url": url, "file": "shapes.py", "foreign": "shapes.js", "notebook": "cells.ipynb", "opening": OPENING}
        seen = code_server.drive("vscode_features.mjs", plan)

    # Parts: the word is the beginning of what was shown, the line the rest of it.
    assert seen["others"].startswith("Tabby may offer ghost text too")
    whole, word = seen["shown"].rstrip(), seen["afterWord"]
    assert word["line"].rstrip() == whole
    assert 0 < len(word["ghost"]) < len(whole) - len(OPENING)
    assert seen["afterLine"].rstrip() == whole
    told = [int(units) for units in re.findall(r"partially accepted (\d+)", server_log(sandbox))]
    assert told, "the server was not told that a part was accepted"
    assert seen["accepted"].startswith(OPENING)
    assert seen["cycled"].startswith(OPENING)
    first_word = seen["cycled"][len(OPENING) :].split()[0]
    assert first_word[:4] in seen["accessibleView"]

    # Off: quiet, with a reason, and asking still works.
    assert seen["offQuiet"]
    assert len(seen["offAsked"]) > len(OPENING)
    assert seen["settingsLanguageOff"]["[python]"] == {"seedling.enable": False}
    assert "seedling.enable" not in seen["settingsLanguageOn"].get("[python]", {})
    assert seen["documentQuiet"]
    assert any(seen["documentOff"].removeprefix("Seedling: ") in row for row in seen["menuDocumentOff"])
    assert seen["snoozedQuiet"]
    assert seen["snoozed"].removeprefix("Seedling: ") in seen["languageStatus"]

    for part in ("extension: 0.", "state: Seedling: ", "other completions: Tabby", "doctor:", '"model":'):
        assert part in seen["diagnostics"]
    for private in ("shapes.py", "import math", str(sandbox.folder / "home")):
        assert private not in seen["diagnostics"]

    cells = json.loads((workspace / "cells.ipynb").read_text())["cells"]
    assert "".join(cells[-1]["source"]).rstrip() == (OPENING + seen["notebookGhost"]).rstrip()
    assert "".join(cells[1]["source"]) == "import math"
    steps = " ".join(seen["walkthrough"])
    assert all(title in steps for title in ("Install the server", "first suggestion", "keys", "what it reads"))


EDITED = """\
\"\"\"Shapes.\"\"\"


def area(width, height):
    return width * height


def perimeter(width, height):
    total = 2 * (width + height)
    return total
"""
MISSPELT = "def area(width, height):\n    return widht * height\n"
RENAMED = "def steps(n):\n    first = n + 1\n    return [first, n]\n"


def test_vscode_edits(code_server, vsix, sandbox, engine, artifacts):
    """Rewrites, the denoise view, mends and next edits, with a scripted engine."""
    workspace = sandbox.workspace
    files = {"file": "shapes.py", "mend": "mend.py", "renamed": "renamed.py"}
    (workspace / "shapes.py").write_text(EDITED)
    (workspace / "mend.py").write_text(MISSPELT)
    (workspace / "renamed.py").write_text(RENAMED)
    code_server.settings.write_text(
        json.dumps(SETTINGS | ON | {"seedling.server.environment": {"SEEDLING_ENGINE": engine.address}})
    )
    code_server.install(vsix)
    with code_server.serve(workspace) as url:
        seen = code_server.drive("vscode_edits.mjs", {"url": url, "workspace": str(workspace), **files})

    # A preview shows, and changes nothing; accepting is one step of undo.
    one = EDITED.replace("return width * height", "result = width * height\n    return result")
    assert seen["preview"] == one.rstrip()
    assert "(87 % sure): name the result" in seen["title"]
    assert seen["retried"] == one.rstrip().replace("result", "product")
    assert "attempt 2" in seen["retriedTitle"]
    assert seen["rejected"] == EDITED
    assert seen["accepted"] == one.rstrip()
    assert seen["undone"] == EDITED.rstrip()

    # A document that has moved on is left alone, and so is the preview.
    assert "not applied" in seen["refused"]
    assert seen["stillPreviewed"] == 1
    assert seen["afterRefusal"] == f"#{EDITED}".rstrip()
    assert "9 of 9 tokens" in seen["progress"]
    assert seen["cancelledPreviews"] == 0
    assert len(engine.cancelled) == 1

    # The canvas: what was visible and became another is marked, masks that were filled are not.
    assert seen["watched"].endswith("return total")
    assert seen["corrected"] == ["return"]
    assert seen["ending"].startswith("2 steps, 3 forwards, 1 correction, ")
    assert seen["figures"].startswith("step 4, ")
    assert "retrun tot░░" in seen["earlier"]
    assert seen["doubtful"] == ["retrun"]
    words = seen["words"].splitlines()
    assert words[0].startswith("shapes.py, line ")
    assert [line.split(",")[0] for line in words[1:-1]] == ["step 1", "step 2", "step 3", "step 4"]
    assert words[3].endswith("3 of 3 tokens written, 1 corrected: return total")
    assert seen["pages"] == 0

    rows = seen["mendMenu"]
    fix = next(number for number, row in enumerate(rows) if "widht" in row and "width" in row)
    assert fix < next(number for number, row in enumerate(rows) if "Ignore here" in row)
    assert seen["ignored"] == MISSPELT
    assert not any("asked about" in said for said in seen["toasts"])
    assert "line 2" in seen["hint"]
    renamed = RENAMED.replace("(n)", "(count)").rstrip()
    assert seen["beforeKey"] == renamed
    assert seen["afterKey"] == renamed.replace("= n", "= count")
    for name in ("preview", "mend", "next-edit"):
        picture(artifacts / f"{name}.png")


def test_first_steps(code_server, vsix, sandbox):
    """From the README to ghost text, to the letter, where no server is installed: the extension installs its own.

    pip asks the index that it is configured for, as on a person's machine.
    """
    readme = (EXTENSION / "README.md").read_text()
    section = readme.partition("## First steps\n")[2].partition("\n## ")[0]
    commands = section.partition("```\n")[2].partition("```")[0]
    button = re.search(r"choose \*\*(.+?)\*\*", section)
    text = re.search(r"Type `(.+?)`", section)
    key = re.search(r"<kbd>(.+?)</kbd> takes it", section)
    assert button
    assert text
    assert key

    # `code` installs into this test's folders; a file it would open is opened by the browser instead.
    programs = sandbox.folder / "programs"
    programs.mkdir()
    opened = sandbox.folder / "opened"
    install = " ".join(f"'{word}'" for word in code_server.command)
    stand_in = f'#!/bin/bash\ncase $1 in -*) exec {install} "$@" ;; *) echo "$PWD/$1" > {opened} ;; esac\n'
    (programs / "code").write_text(stand_in)
    (programs / "code").chmod(0o755)
    bare = without_seedling(code_server, sandbox)
    run(["bash", "-ec", commands], 300, code_server.env | {"PATH": f"{programs}{os.pathsep}{bare}"})

    file = sandbox.workspace / Path(opened.read_text().strip()).name
    file.touch()
    with code_server.serve(sandbox.workspace) as url:
        plan = {"url": url, "file": file.name, "button": button[1], "text": text[1], "key": key[1], "readyMs": 480_000}
        seen = code_server.drive("vscode_first_run.mjs", plan)
    assert seen["ghost"].strip()
    assert seen["line"].rstrip() == (text[1] + seen["ghost"]).rstrip()
    made = list((sandbox.folder / "data" / "User" / "globalStorage" / "seedling.seedling-lsp" / "server").iterdir())
    assert [(folder / "complete").exists() for folder in made] == [True]


def test_an_installation_that_fails(code_server, vsix, sandbox):
    """One sentence, ways back, and nothing is blocked: here no Python fits, since the package is made to want a 3.1."""
    (sandbox.workspace / "hello.py").touch()
    without_seedling(code_server, sandbox)
    code_server.install(vsix)
    bundle = next((sandbox.folder / "extensions").glob("seedling.seedling-lsp-*/server/bundle.json"))
    platform = run([code_server.command[0], "-p", "process.platform + '-' + process.arch"], 30).strip()
    wants = {"offline": {"python": "3.1", "platform": platform}}
    bundle.write_text(json.dumps(json.loads(bundle.read_text()) | wants))
    with code_server.serve(sandbox.workspace) as url:
        texts = {"question": "language server", "button": "Install", "failure": "needs a Python 3.1"}
        seen = code_server.drive("vscode_failed_install.mjs", {"url": url, "file": "hello.py", **texts})
    assert seen["sentence"].startswith("Seedling needs a Python 3.1 ")
    assert [button for button in seen["buttons"] if button] == ["Retry", "Choose Python…", "Show Log"]
    assert seen["again"]


def test_parts_without_vscode(npm_program, vsix):
    """The extension's unit tests, with node's own runner: the environment that it makes, whose program runs, pip."""
    run([npm_program, "test", "--silent"], 600, cwd=EXTENSION)


def picture(shot: Path) -> None:
    """Keeps a screenshot for docs/features.md, where SEEDLING_SCREENSHOTS asks for that."""
    if os.environ.get("SEEDLING_SCREENSHOTS"):
        from PIL import Image

        images = ROOT / "docs" / "images"
        images.mkdir(exist_ok=True)
        with Image.open(shot) as image:
            small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            small.save(images / f"vscode-{shot.name}", optimize=True)


def without_seedling(code_server: CodeServer, sandbox) -> str:
    """Takes the environment that runs the tests off PATH, which is returned: no `seedling`, and the system's Python."""
    folders = os.environ["PATH"].split(os.pathsep)
    bare = os.pathsep.join(folder for folder in folders if not (Path(folder) / "seedling").exists())
    code_server.env.update(PATH=bare)
    (sandbox.folder / "home" / ".profile").write_text(f"export PATH='{bare}'\n")
    return bare


def notebook(text: str, code: str) -> str:
    def cell(kind: str, source: str) -> dict:
        return {"cell_type": kind, "metadata": {}, "source": [source]} | (
            {"outputs": [], "execution_count": None} if kind == "code" else {}
        )

    return json.dumps(
        {
            "cells": [cell("markdown", text), cell("code", code), cell("code", "")],
            "metadata": {"language_info": {"name": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def neighbour(folder: Path) -> Path:
    """A package with the name of another extension that completes code; it does nothing."""
    manifest = {
        "name": "vscode-tabby", "publisher": "TabbyML", "version": "0.0.1", "engines": {"vscode": "^1.91.0"},
        "main": "./nothing.js", "activationEvents": ["*"],
    }  # fmt: skip
    vsix = (
        '<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011"><Metadata>'
        '<Identity Language="en-US" Id="vscode-tabby" Version="0.0.1" Publisher="TabbyML"/></Metadata>'
        '<Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation></PackageManifest>'
    )
    path = folder / "neighbour.vsix"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("extension/package.json", json.dumps(manifest))
        package.writestr("extension/nothing.js", "exports.activate = () => {};\n")
        package.writestr("extension.vsixmanifest", vsix)
    return path


def server_log(sandbox) -> str:
    return "\n".join(log.read_text() for log in (sandbox.folder / "home").rglob("*.log"))
