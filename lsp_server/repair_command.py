"""`seedling fix FILE` and `seedling mend PATH…`: repairs from the command line, by the language server's own rules.

Prints what was found, or a unified diff (--diff), or SARIF; --write replaces a file that has not changed since it was
read, with its line ends and byte order mark. Exit codes for CI: 0 nothing found, 1 found (written or not), 2 something
could not be done. Source: ruff's and gitleaks' exit codes; the ignore rules are context/ignore.py's. Left out: reading
and writing findings (sarif.py), what may be shown (features/fix.py).
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from lsp_server.complete_command import project_folder, request_at
from lsp_server.context.ignore import Ignores
from lsp_server.engine_client.client import EngineClient
from lsp_server.engine_client.connect import connect
from lsp_server.engine_command import show_progress
from lsp_server.engine_link import EngineState
from lsp_server.features.fix import Repair, sentence_of, usable, why_no_engine
from lsp_server.features.quiet import EDIT_RULES, Asked, first_refusal
from lsp_server.features.rewrite import line_end, position_of, source_of
from lsp_server.outcome import Reason
from lsp_server.place import MAX_FILE_BYTES, Place
from lsp_server.positions import Position, split_lines
from lsp_server.printable import printable
from lsp_server.rewrite_command import diff, write_unless_changed
from lsp_server.sarif import Found, UnreadableFindings, as_sarif, rows_named
from lsp_server.snapshot import Snapshot
from model.engine import api
from model.syntax.errors import Rows, all_syntax_errors, named_rows, num_errors
from model.syntax.languages import language_of_suffix

Form = Literal["text", "sarif", "diff"]

Looked = tuple[list[tuple[Found, str]], bool]
"""What was found in each file, with the file's text; and whether one could not be read."""
Look = Callable[["_Repairer"], Awaitable[Looked]]

FIX_DEADLINE_MS = 20_000.0
MEND_DEADLINE_MS = 300_000.0
BOM = "\ufeff"
FOLDERS_OF_OTHERS = frozenset({"node_modules", "__pycache__", "site-packages"})


class RepairFailed(Exception):
    """Nothing could be done: one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class _Skipped(Exception):
    """This file is left alone: why, as a sentence."""


class _Repairer:
    """One engine, asked file after file."""

    def __init__(self, client: EngineClient, capabilities: api.Capabilities) -> None:
        self._client = client
        self.capabilities = capabilities

    async def fix(self, path: Path, text: str, findings: str | None) -> Found:
        """The best repair of each place that is named: by `findings` (JSON of another tool), else by the parser."""
        snapshot, source = self._checked(path, text, "fix")
        language = snapshot.document.language
        if findings is None:
            places = await asyncio.to_thread(all_syntax_errors, source, language)
        else:
            rows = rows_named(findings, path)
            named = (named_rows(source, language, (row, row), [row]) for row in rows)
            places = list(dict.fromkeys(place for place in named if place is not None))
        found: list[Repair] = []
        for place in places:
            usable_here = usable(source, language, place, await self._ask(snapshot, source, place), None)
            found += () if isinstance(usable_here, Reason) else usable_here
        return Found(path, source, together(source, language, found))

    async def mend(self, path: Path, text: str) -> Found:
        """What the model finds in a whole file."""
        snapshot, source = self._checked(path, text, "mend")
        found = usable(source, snapshot.document.language, None, await self._ask(snapshot, source, None), None)
        repairs = () if isinstance(found, Reason) else found
        return Found(path, source, together(source, snapshot.document.language, repairs))

    def _checked(self, path: Path, text: str, ability: Literal["fix", "mend"]) -> tuple[Snapshot, str]:
        request = request_at(Place(path, text.removeprefix(BOM), Position(0, 0)))
        for sentence in request.ignored:
            _say(sentence)
        completes_only = self._client.completes_only
        state = EngineState(kind="ready", capabilities=self.capabilities, completes_only=completes_only)
        refused = first_refusal(Asked(request.snapshot, request.settings, state), EDIT_RULES)
        if refused is not None:
            raise _Skipped(refused.sentence)
        reason = why_no_engine(state, request.snapshot.document.language, ability)
        if reason is not None:
            raise _Skipped(reason.value)
        return request.snapshot, source_of(request.snapshot.document.lines)

    async def _ask(self, snapshot: Snapshot, source: str, rows: Rows | None) -> list[api.Finding]:
        request = api.RepairRequest(
            id=f"cli-{time.monotonic_ns()}",
            text=source,
            path=snapshot.path,
            language=snapshot.document.language,
            first_row=None if rows is None else rows.first,
            last_row=None if rows is None else rows.last,
            deadline_ms=MEND_DEADLINE_MS if rows is None else FIX_DEADLINE_MS,
        )
        found: list[api.Finding] = []
        async for event in self._client.repair(request):
            if isinstance(event, api.Error):
                raise RepairFailed(event.sentence)
            if isinstance(event, api.Repaired):
                return found
            found.append(event)
        raise RepairFailed("The engine ended its answer early; its log is shown by seedling engine logs.")


def together(source: str, language: str, repairs: Sequence[Repair]) -> tuple[Repair, ...]:
    """Those repairs that may be made at once: the surer of two that meet, none that is sound only by itself, and of two
    that mend the same syntax error one."""
    kept: list[Repair] = []
    errors = errors_before = num_errors(source, language)
    for repair in sorted(repairs, key=lambda one: -one.confidence):
        if any(repair.start <= other.end and other.start <= repair.end for other in kept):
            continue
        now = num_errors(_with(source, [*kept, repair]), language)
        mends = errors_before > 0 and num_errors(repair.applied(source), language) < errors_before
        if now < errors or (now == errors and not mends):
            kept.append(repair)
            errors = now
    return tuple(sorted(kept, key=lambda one: one.start))


def _with(source: str, repairs: Sequence[Repair]) -> str:
    for repair in sorted(repairs, key=lambda one: -one.start):
        source = repair.applied(source)
    return source


def repaired_text(text: str, source: str, repairs: Sequence[Repair]) -> str:
    """The file's text with all repairs made: its byte order mark, its line ends and all else as they were."""
    mark = BOM if text.startswith(BOM) else ""
    lines = split_lines(text[len(mark) :])
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    body = "".join(lines)
    for repair in sorted(repairs, key=lambda one: -one.start):
        begin, end = (starts[at.line] + at.column for at in (_at(source, repair.start), _at(source, repair.end)))
        body = body[:begin] + repair.text.replace("\n", line_end(lines)) + body[end:]
    return mark + body


def _at(source: str, offset: int) -> Position:
    return position_of(source, offset)


def run_fix(name: str, findings: str | None, *, form: Form, write: bool) -> int:
    """`seedling fix`. Raises an error with a sentence where the file or the findings cannot be read."""
    path = Path(name)
    try:
        text, named = read_text(path), None if findings is None else _findings(findings)
    except _Skipped as why:
        raise RepairFailed(f"{path}: {why}") from None

    async def look(repairer: _Repairer) -> Looked:
        try:
            return [(await repairer.fix(path, text, named), text)], False
        except _Skipped as why:
            raise RepairFailed(f"{path}: {why}") from None
        except UnreadableFindings as why:
            raise RepairFailed(f"{findings} cannot be used: {why}.") from None

    return _finish(asyncio.run(_with_engine(look)), form, write)


def run_mend(names: Sequence[str], *, form: Form, write: bool) -> int:
    """`seedling mend`. A path that cannot be read costs its own sentence and the exit code 2."""

    async def look(repairer: _Repairer) -> Looked:
        found: list[tuple[Found, str]] = []
        failed = False
        for path in map(Path, names):
            if not path.exists():
                _say(f"{path} does not exist.")
                failed = True
            for file in files_below(path, repairer.capabilities.languages):
                try:
                    text = read_text(file)
                    found.append((await repairer.mend(file, text), text))
                except _Skipped as why:
                    _say(f"{file} skipped: {why}")
                    failed = failed or file == path
        return found, failed

    return _finish(asyncio.run(_with_engine(look)), form, write)


async def _with_engine(look: Look) -> Looked:
    client = await connect(on_progress=show_progress)
    try:
        return await look(_Repairer(client, await client.capabilities()))
    finally:
        await client.close()


def _finish(looked: Looked, form: Form, write: bool) -> int:
    """Prints and writes what was found; the exit code."""
    found, failed = looked
    files = [file for file, _ in found if file.repairs]
    if form == "sarif":
        print(json.dumps(as_sarif(files, version("seedling-lsp")), indent=2))
    for file, text in found:
        if not file.repairs:
            continue
        new = repaired_text(text, file.source, file.repairs)
        if form == "text":
            print(printable("\n".join(_lines(file))))
        elif form == "diff":
            _print_diff(diff(file.path, text, new))
        if write:
            write_unless_changed(file.path, text, new)
    num, read = sum(len(file.repairs) for file in files), len(found)
    done = "written" if write else "found"
    _say(f"{num} {'repair' if num == 1 else 'repairs'} {done} in {read} {'file' if read == 1 else 'files'}.")
    return 2 if failed else 1 if num else 0


def _print_diff(text: str) -> None:
    """Byte by byte into a pipe, so that `patch` takes it; on a terminal nothing in a file may be obeyed."""
    if sys.stdout.isatty():
        text = "".join(printable(line) for line in text.replace("\r\n", "\n").splitlines(keepends=True))
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.flush()


def _lines(file: Found) -> Iterator[str]:
    for repair in file.repairs:
        row, column = _at(file.source, repair.left)
        change = sentence_of(repair)
        yield f"{file.path}:{row + 1}:{column + 1}: {change} ({repair.kind}, {repair.confidence:.2f})"


def read_text(path: Path) -> str:
    """A file's text, its byte order mark included. Raises _Skipped with a sentence for what is no text."""
    try:
        if not path.is_file():
            raise _Skipped("it is no file.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _Skipped(f"it is larger than {MAX_FILE_BYTES} bytes.")
        content = path.read_bytes()
    except OSError as error:
        raise _Skipped(f"it cannot be read ({error.strerror}).") from None
    if b"\0" in content:
        raise _Skipped("it is binary.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _Skipped("it is not UTF-8 text.") from None


def _findings(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise RepairFailed(f"{name} cannot be read.") from None


def files_below(path: Path, languages: Sequence[str]) -> Iterator[Path]:
    """The file itself, or the files of these languages in a folder: no hidden ones, no links, none that are ignored."""
    if not path.is_dir():
        if path.exists():
            yield path
        return
    root = project_folder(Path(os.path.abspath(path)) / "x")
    ignores = Ignores(os.path.realpath(root))
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in FOLDERS_OF_OTHERS
            and not Path(folder, name).is_symlink()
            and not Path(folder, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            file = Path(folder, name)
            if name.startswith(".") or file.is_symlink() or language_of_suffix(file.suffix) not in languages:
                continue
            below = os.path.relpath(os.path.realpath(file), os.path.realpath(root)).replace(os.sep, "/")
            if not ignores.is_ignored(below):
                yield file


def _say(sentence: str) -> None:
    print(printable(f"seedling: {sentence}"), file=sys.stderr)
