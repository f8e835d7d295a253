"""Runs a program that a model wrote: without network or the user's files, with bounded time and memory; else never.

Source: this project; bubblewrap(1), or unshare(1) with mount namespaces and pivot_root, then setpriv(1) and rlimits.
The program sees an empty read-only root with /usr, the libraries and this Python's prefix, /dev/null, and a small
private /tmp as its folder. Left out, so no defence: faults of the kernel itself (no filter on system calls), the sum
of its processes' memory (each has the limit), and secrets that stand readable in /usr or in Python's prefix.
"""

import contextlib
import functools
import math
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import msgspec

Reason = Literal["passed", "failed", "timeout", "memory", "crashed"]

TAIL_BYTES = 4_000
MAX_FILE_BYTES = 16 * 2**20
MAX_FOLDER_BYTES = 64 * 2**20
MAX_PROCESSES = 32
MAX_OPEN_FILES = 64
NOBODY = 65534
TRIAL_S = 20.0
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")

# Inside the sandbox. Only the launcher knows the pipe: a program that leaves early, by exit(0) too, has not passed.
LAUNCHER = """
import os, resource, sys, types
pipe, cpu_s, memory_bytes, file_bytes, processes, open_files = map(int, sys.argv[1:])
with open(0, encoding="utf-8") as given:
    source = given.read()
os.open("/dev/null", os.O_RDONLY)
os.set_inheritable(pipe, False)
for kind, limit in (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_CPU, cpu_s),
    (resource.RLIMIT_FSIZE, file_bytes),
    (resource.RLIMIT_NPROC, processes),
    (resource.RLIMIT_NOFILE, open_files),
    (resource.RLIMIT_AS, memory_bytes),
):
    resource.setrlimit(kind, (limit, limit))
sys.argv = ["program.py"]
sys.stdin = open(0, encoding="utf-8")
first = os.getpid()
main = sys.modules["__main__"] = types.ModuleType("__main__")
try:
    exec(compile(source, "program.py", "exec"), main.__dict__)
    sys.stdout.flush()
except MemoryError:
    if os.getpid() == first:
        os.write(pipe, b"memory")
    raise
if os.getpid() == first:
    os.write(pipe, b"end")
"""

# As (mapped) root of new namespaces; $1 = mount point, $2 = read-only paths, one a line; the rest = the command.
# Plain --bind refuses a path with mounts below it that this namespace may not take apart: then there is no sandbox.
# umount reads /proc, which goes away together with the old root. This shell stays process 1: with it all others end.
SCRIPT = f"""
set -e
root=$1 paths=$2
shift 2
echo 1000 > /proc/self/oom_score_adj || true
mount -t tmpfs -o mode=755,size=1m sandbox "$root"
IFS='
'
for path in $paths; do
    if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$root${{path%/*}}"; : > "$root$path"; fi
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
done
mkdir -p "$root/dev" "$root/tmp" "$root/old"
: > "$root/dev/null"
mount --bind /dev/null "$root/dev/null"
mount -t tmpfs -o mode=1777,size={MAX_FOLDER_BYTES} sandbox "$root/tmp"
ln -s /old/proc "$root/proc"
mount -o remount,bind,ro "$root"
cd "$root"
pivot_root . old
umount -l /old
cd /tmp
set +e
"$@"
exit $?
"""


class SandboxError(Exception):
    """There is no sandbox here; `sentence` says so to the user."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Outcome(msgspec.Struct, frozen=True):
    """`passed`: ran to its end without an error. `output_tail`: the end of stdout and stderr, at most TAIL_BYTES."""

    passed: bool
    reason: Reason
    output_tail: str


class _Kind(msgspec.Struct, frozen=True):
    """One way to build the sandbox. `before` starts the command line; a mount point is put in for `{root}`."""

    name: str
    before: tuple[str, ...]


def available() -> str | None:
    """None when a sandbox works on this machine (tried once with a trivial program), else one sentence why not."""
    found = _working_kind()
    return found if isinstance(found, str) else None


def run_program(source: str, *, timeout_s: float = 5.0, memory_mb: int = 1024) -> Outcome:
    """Runs `source` as a Python program (standard library only, no input) in a fresh sandbox.

    `timeout_s`: wall time of the whole, `memory_mb`: address space of each of its processes. Raises SandboxError where
    no sandbox works; then nothing has run.
    """
    kind = _working_kind()
    if isinstance(kind, str):
        raise SandboxError(kind)
    return _run(kind, source, timeout_s=timeout_s, memory_mb=memory_mb)


@functools.cache
def _working_kind() -> _Kind | str:
    refused = []
    for kind in _kinds():
        outcome = _run(kind, "print('ready')", timeout_s=TRIAL_S, memory_mb=1024)
        if outcome.passed:
            return kind
        refused.append(_refusal(kind, outcome))
    why = "; ".join(refused) or "it needs Linux with bubblewrap, or with unshare and setpriv of util-linux"
    return f"Programs that a model wrote run only in a sandbox, and none works here: {why}."


def _refusal(kind: _Kind, outcome: Outcome) -> str:
    lines = outcome.output_tail.strip().splitlines() or [outcome.reason]
    # A tool's complaint begins with what is wrong, Python's ends with it.
    return f"{kind.name} says {lines[-1 if lines[0].startswith('Traceback') else 0].strip()!r}"


def _kinds() -> list[_Kind]:
    """Best first. Root is not given to bubblewrap: its sandbox keeps the user, and no process limit holds for root."""
    if not sys.platform.startswith("linux"):
        return []
    kinds = []
    is_root = os.geteuid() == 0
    bubblewrap = shutil.which("bwrap")
    if bubblewrap and not is_root:
        kinds.append(_Kind(name="bwrap", before=_bubblewrap(bubblewrap)))
    if shutil.which("unshare") and shutil.which("setpriv"):
        kinds.append(_Kind(name="unshare", before=_unshare(is_root=is_root)))
    return kinds


def _bubblewrap(program: str) -> tuple[str, ...]:
    shown = [word for path in _readable_paths() for word in ("--ro-bind", path, path)]
    return (
        *(program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *shown,
        *("--dev-bind", "/dev/null", "/dev/null", "--size", str(MAX_FOLDER_BYTES), "--tmpfs", "/tmp"),
        *("--remount-ro", "/", "--chdir", "/tmp", "--"),
    )


def _unshare(*, is_root: bool) -> tuple[str, ...]:
    namespaces = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
    user = () if is_root else ("--user", "--map-root-user")
    # Without capabilities the read-only mounts cannot be undone. Root becomes nobody, for whom limits hold.
    becomes = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") if is_root else ()
    drops = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
    script = ("sh", "-c", SCRIPT, "sandbox", "{root}", "\n".join(_readable_paths()))
    return ("unshare", *user, *namespaces, "--", *script, "setpriv", *becomes, *drops, "--")


def _python() -> Path:
    """The interpreter behind a virtual environment: its own folder may stand anywhere and is not shown."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _readable_paths() -> tuple[str, ...]:
    prefixes = (sys.base_prefix, sys.base_exec_prefix, str(_python().parent))
    kept: list[str] = []
    for path in (*SYSTEM, *sorted({str(Path(prefix).resolve()) for prefix in prefixes})):
        if Path(path).exists() and not any(Path(path).is_relative_to(other) for other in kept):
            kept.append(path)
    return tuple(kept)


def _run(kind: _Kind, source: str, *, timeout_s: float, memory_mb: int) -> Outcome:
    read_fd, write_fd = os.pipe()
    limits = (math.ceil(timeout_s) + 1, memory_mb * 2**20, MAX_FILE_BYTES, MAX_PROCESSES, MAX_OPEN_FILES)
    with (
        open(read_fd, "rb", buffering=0) as marks,
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryDirectory(prefix="seedling-sandbox-") as root,
    ):
        try:
            given.write(source.encode("utf-8", "replace"))
            given.seek(0)
            process = subprocess.Popen(
                [
                    *(root if word == "{root}" else word for word in kind.before),
                    *("env", "-i", "HOME=/tmp", "LANG=C.UTF-8"),
                    *(str(_python()), "-I", "-S", "-B", "-X", "utf8", "-c", LAUNCHER),
                    *(str(number) for number in (write_fd, *limits)),
                ],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"},
                pass_fds=(write_fd,),
                start_new_session=True,
            )
        finally:
            os.close(write_fd)
        output, in_time = _watch(process, time.monotonic() + timeout_s)
        mark = b"" if not in_time else marks.read(16)
    return _outcome(mark, process.returncode, output.decode("utf-8", "replace"), in_time=in_time)


def _watch(process: subprocess.Popen[bytes], deadline_s: float) -> tuple[bytes, bool]:
    """Reads until the sandbox has ended or the time is up, then kills what is left: (end of the output, in time)."""
    assert process.stdout is not None
    tail = b""
    in_time = False
    with process.stdout as stream, selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (left_s := deadline_s - time.monotonic()) > 0:
            if selector.select(left_s):
                chunk = os.read(stream.fileno(), 65_536)
                if not chunk:
                    break
                tail = (tail + chunk)[-TAIL_BYTES:]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline_s - time.monotonic()))
            in_time = True
    # The outer process is in a group of its own; with it ends process 1 of the sandbox, and so every process in there.
    if not in_time:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return tail, in_time


def _outcome(mark: bytes, exit_code: int, output: str, *, in_time: bool) -> Outcome:
    reason: Reason = "failed"
    if not in_time or exit_code in (128 + signal.SIGXCPU, -signal.SIGXCPU):
        reason = "timeout"
    elif mark == b"memory":
        reason = "memory"
    elif mark == b"end" and exit_code == 0:
        reason = "passed"
    elif exit_code < 0 or exit_code > 128:
        reason = "crashed"
    return Outcome(passed=reason == "passed", reason=reason, output_tail=output)
