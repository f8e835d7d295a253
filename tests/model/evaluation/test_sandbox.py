"""Programs of a model run in a sandbox: what it lets through, and what it does not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.evaluation import sandbox
from model.evaluation.sandbox import SandboxError, available, run_program

WHY_NOT = available()
needs_sandbox = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


def processes_with(mark: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if mark in command:
            found.append(command)
    return found


def wait_until_gone(mark: str) -> list[str]:
    deadline_s = time.monotonic() + 60
    while (left := processes_with(mark)) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return left


@needs_sandbox
def test_a_program_without_an_error_passes() -> None:
    outcome = run_program("import json, math\nassert math.gcd(12, 18) == 6\nprint(json.dumps('ä'))", timeout_s=30)
    assert (outcome.passed, outcome.reason, outcome.output_tail) == (True, "passed", '"\\u00e4"\n')


@needs_sandbox
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("def f(:\n", "SyntaxError"),
        ("input()", "EOFError"),
        ("import sys; sys.exit(0)", ""),  # leaving before the tests is no pass
        ("import os; os._exit(0)", ""),
        ("import os\nif os.fork(): os._exit(0)\n", ""),  # nor is a child that reaches the end
        ("print('\udce4')", ""),
    ],
)
def test_a_program_with_an_error_fails(source: str, words: str) -> None:
    outcome = run_program(source, timeout_s=30)
    if source.startswith("print"):  # what is no text becomes "?", and the program runs
        assert outcome.output_tail == "?\n"
        return
    assert not outcome.passed
    assert outcome.reason == "failed"
    assert words in outcome.output_tail


@needs_sandbox
def test_the_program_is_main_and_finds_its_own_classes() -> None:
    source = (
        "from dataclasses import dataclass\n"
        "import pickle\n"
        "@dataclass\n"
        "class Point:\n"
        "    x: 'int'\n"
        "if __name__ == '__main__':\n"
        "    print(pickle.loads(pickle.dumps(Point(3))))\n"
    )
    assert run_program(source, timeout_s=30).output_tail == "Point(x=3)\n"


@needs_sandbox
def test_an_endless_program_ends() -> None:
    outcome = run_program("print('begun', flush=True)\nwhile True: pass", timeout_s=1.5)
    assert (outcome.passed, outcome.reason) == (False, "timeout")


@needs_sandbox
def test_its_children_end_with_it() -> None:
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    source = (
        "import subprocess, sys\n"
        "for _ in range(2):\n"
        f"    subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)', '{mark}'],\n"
        "        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    )
    assert run_program(source, timeout_s=60).reason == "passed"  # without waiting for them
    assert run_program(source + "while True: pass\n", timeout_s=1.5).reason == "timeout"
    assert wait_until_gone(mark) == []


@needs_sandbox
def test_memory_has_a_limit() -> None:
    outcome = run_program("x = bytearray(600 * 2**20)", timeout_s=30, memory_mb=512)
    assert (outcome.passed, outcome.reason) == (False, "memory")
    assert run_program("x = bytearray(100 * 2**20)", timeout_s=30, memory_mb=512).passed


@needs_sandbox
def test_a_fork_bomb_meets_a_limit() -> None:
    source = (
        "import os, time\n"
        "num = 0\n"
        "try:\n"
        "    while True:\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(600)\n"
        "        num += 1\n"
        "except BlockingIOError:\n"
        "    print(num)\n"
    )
    outcome = run_program(source, timeout_s=60)
    assert outcome.reason == "passed"
    assert 0 < int(outcome.output_tail) <= sandbox.MAX_PROCESSES


@needs_sandbox
def test_a_crash_is_named() -> None:
    assert run_program("import os; os.abort()", timeout_s=30).reason == "crashed"


@needs_sandbox
def test_there_is_no_network() -> None:
    source = (
        "import socket\n"
        "print(sorted(name for _, name in socket.if_nameindex()))\n"
        "for address in (('127.0.0.1', {port}), ('192.0.2.1', 80)):\n"
        "    try:\n"
        "        socket.create_connection(address, timeout=5)\n"
        "    except OSError:\n"
        "        print('refused')\n"
    )
    import socket

    with socket.create_server(("127.0.0.1", 0)) as here:
        outcome = run_program(source.format(port=here.getsockname()[1]), timeout_s=30)
    lines = outcome.output_tail.splitlines()
    assert lines[0] == "['lo']"
    assert lines[1:] == ["refused", "refused"]


@needs_sandbox
def test_it_neither_reads_nor_writes_files_of_the_user(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    (tmp_path / "open").mkdir(mode=0o777)
    places = (secret, Path.home() / "x", tmp_path / "open" / "x", Path("/x"), Path("/usr/x"), Path(os.__file__))
    source = (
        "import os\n"
        "print(os.getcwd())\n"
        f"print(os.path.exists({str(secret)!r}))\n"
        f"for place in {[str(place) for place in places]!r}:\n"
        "    try:\n"
        "        open(place, 'a').close()\n"
        "        print('written', place)\n"
        "    except OSError:\n"
        "        pass\n"
        "open('mine', 'w').write('kept')\n"
        "print(open('/tmp/mine').read(), len(os.environ))\n"
    )
    outcome = run_program(source, timeout_s=30)
    assert outcome.output_tail == "/tmp\nFalse\nkept 2\n"
    assert secret.read_text() == "mine"
    assert not Path("/tmp/mine").exists()


@needs_sandbox
def test_it_cannot_undo_its_walls() -> None:
    source = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.mount(None, b'/usr', None, 32 | 4096, None))\n"  # remount for writing
        "print(libc.umount2(b'/usr', 2))\n"
        "print(libc.sethostname(b'x', 1))\n"
    )
    assert run_program(source, timeout_s=30).output_tail == "-1\n-1\n-1\n"


@needs_sandbox
def test_files_and_output_have_limits() -> None:
    outcome = run_program(f"with open('big', 'wb') as f: f.write(b'x' * {sandbox.MAX_FILE_BYTES + 1})", timeout_s=30)
    assert (outcome.reason, "File too large" in outcome.output_tail) == ("failed", True)
    outcome = run_program("for i in range(2000): print(str(i % 10) * 1000)\nprint('end')", timeout_s=60)
    assert outcome.passed
    assert outcome.output_tail.endswith("999\nend\n")
    assert len(outcome.output_tail) <= sandbox.TAIL_BYTES


def test_without_a_sandbox_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(sandbox, "_kinds", lambda: [])
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **_: started.append(words))
    sandbox._working_kind.cache_clear()
    try:
        with pytest.raises(SandboxError) as caught:
            run_program("print('never')")
        assert "bubblewrap" in caught.value.sentence
        assert available() == caught.value.sentence
        assert started == []
    finally:
        sandbox._working_kind.cache_clear()


def test_a_sandbox_that_does_not_start_is_refused_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = sandbox._Kind(name="wall", before=(sys.executable, "-c", "raise SystemExit('wall: not permitted')"))
    monkeypatch.setattr(sandbox, "_kinds", lambda: [broken])
    sandbox._working_kind.cache_clear()
    try:
        assert "wall says 'wall: not permitted'" in str(available())
    finally:
        sandbox._working_kind.cache_clear()


def test_what_is_shown_holds_python_but_not_the_home() -> None:
    shown = [Path(path) for path in sandbox._readable_paths()]
    assert any(sandbox._python().is_relative_to(path) for path in shown)
    assert not any(Path.home().is_relative_to(path) for path in shown)
    assert not any(Path(__file__).is_relative_to(path) for path in shown)
