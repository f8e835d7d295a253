"""Compiled layers in the background: made once by a child process, kept on the disk, put in place when they are ready.

Source: PyTorch's ahead-of-time Inductor (compile_worker.py). The engine answers eagerly until then, and for good where
there is no C++ compiler or the processor's format cannot be packed. Libraries are named by everything they depend on
and replaced in one step, so a killed process leaves only a work folder, which the next one removes. Left out: the
compiler's settings (compile_worker.py), what a library serves (model/network/compiled.py). This file imports torch in
functions only: the engine's socket must answer before torch is there.
"""

import contextlib
import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from model.engine.lock import UnsafeFolder, check_private, take_lock

if TYPE_CHECKING:
    import torch

    from model.network.transformer import Transformer

DELAY_S = 15.0  # an engine that ends at once, and an editor's first requests, are not burdened
TIMEOUT_S = 1800.0
POLL_S = 2.0
MAX_LIBRARIES = 4  # the least recently used ones are removed
MAX_WEIGHT_BYTES = 256 << 20  # the weights stand in the library; larger networks need another way
WORK_PREFIX = "work-"

log = logging.getLogger("seedling.engine")


class BackgroundCompile:
    """One thread for one network. `start` and `stop` may be called from any thread, each once."""

    def __init__(self, folder: Path | None = None, *, delay_s: float = DELAY_S) -> None:
        self._given_folder = folder
        self._delay_s = delay_s
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Lock()

    def start(self, network: "Transformer", checkpoint: Path) -> None:
        """Loads the library of this network or has it made; `network.compiled` is set when it is there and agrees.

        On a CPU only, for the number of threads that the calling thread uses.
        """
        import torch

        if network.embed.weight.device.type != "cpu":
            return
        num_threads = torch.get_num_threads()
        self._thread = threading.Thread(
            target=self._work, args=(network, checkpoint, num_threads), name="seedling-compile", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Until the library is in use or will not be (minutes)."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Ends the child; does not wait."""
        self._stopping.set()
        with self._changed:
            if self._child is not None:
                self._child.kill()

    def _work(self, network: "Transformer", checkpoint: Path, num_threads: int) -> None:
        try:
            dtype = network.embed.weight.dtype
            self._folder = self._given_folder or cache_folder()
            library = self._folder / library_name(checkpoint, dtype, num_threads)
            if library.exists():
                check_private(self._folder)  # others could have put code there
                if self._install(network, library, num_threads):
                    return
            if not self._stopping.wait(self._delay_s) and self._make(network, checkpoint, library, num_threads):
                self._install(network, library, num_threads)
        except (OSError, RuntimeError, UnsafeFolder) as error:
            log.warning("no compiled layers: %s", error)
        if network.compiled is None and not self._stopping.is_set():
            log.info("the engine stays in eager mode")

    def _install(self, network: "Transformer", library: Path, num_threads: int) -> bool:
        """Loads, checks, uses. A library that does not agree is removed."""
        import torch

        from model.engine.compile_check import largest_difference, tolerance
        from model.network.compiled import load_compiled

        torch.set_num_threads(num_threads)  # it counts for this thread alone
        started_s = time.monotonic()
        dtype = network.embed.weight.dtype
        try:
            compiled = load_compiled(library, dtype)
            loaded_s = time.monotonic()
            difference = largest_difference(network, compiled)
        except RuntimeError as error:
            library.unlink(missing_ok=True)
            log.warning("the compiled layers cannot be used: %s", str(error).partition("\n")[0])
            return False
        if not difference <= tolerance(dtype):
            library.unlink(missing_ok=True)
            log.warning("the compiled layers differ from the eager ones by %.1e and were removed", difference)
            return False
        network.compiled = compiled
        with contextlib.suppress(OSError):
            os.utime(library)  # used now
        log.info(
            "compiled layers in use: loaded in %.0f ms, checked in %.0f ms",
            (loaded_s - started_s) * 1000,
            (time.monotonic() - loaded_s) * 1000,
        )
        return True

    def _make(self, network: "Transformer", checkpoint: Path, library: Path, num_threads: int) -> bool:
        """Has the library made by a child; whether it is there then. Says why where it is not."""
        reason = why_not(network)
        if reason:
            log.info("no compiled layers: %s", reason)
            return False
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(self._folder)
        lock = take_lock(library.with_suffix(".lock"))
        while lock is None:  # another engine has it made
            if self._stopping.wait(POLL_S) or library.exists():
                return library.exists()
            lock = take_lock(library.with_suffix(".lock"))
        try:
            remove_old(self._folder)
            return library.exists() or self._run_child(network, checkpoint, library, num_threads)
        finally:
            os.close(lock)

    def _run_child(self, network: "Transformer", checkpoint: Path, library: Path, num_threads: int) -> bool:
        work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=self._folder))
        command = child_command(checkpoint, network.embed.weight.dtype, num_threads, work, library)
        started_s = time.monotonic()
        try:
            with (work / "errors").open("wb") as errors, self._changed:
                if self._stopping.is_set():
                    return False
                self._child = subprocess.Popen(
                    command,
                    cwd=work,
                    env=child_environment(work),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
            status = self._wait(self._child)
            if self._stopping.is_set():
                return False
            seconds = time.monotonic() - started_s
            if status != 0 or not library.exists():
                log.warning("compiling failed after %.0f s: %s", seconds, last_line(work / "errors"))
                return False
            log.info("the layers were compiled in %.0f s", seconds)
            return True
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        try:
            return child.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def cache_folder() -> Path:
    """Where libraries lie: inside Seedling's cache folder, so `seedling clean` removes them.

    Raises RuntimeError for a user without a home, as newer versions of platformdirs do.
    """
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("seedling", appauthor=False)) / "compiled"
    if not folder.is_absolute():
        raise RuntimeError("there is no home directory to keep them in")
    return folder


def library_name(checkpoint: Path, dtype: "torch.dtype", num_threads: int) -> str:
    """A hash of all that a library depends on: weights, shape, format, threads, processor, PyTorch, this program."""
    import torch

    from model.checkpoints.load import WEIGHTS_FILE

    digest = hashlib.sha256()
    with (checkpoint / WEIGHTS_FILE).open("rb") as weights:
        digest.update(hashlib.file_digest(weights, "sha256").digest())
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    facts = {
        "dtype": str(dtype),
        "threads": num_threads,
        "machine": [
            platform.machine(),
            torch.backends.cpu.get_cpu_capability(),
            sorted(map(str, capabilities.items())),
        ],
        "torch": torch.__version__,
        "graph": sources_digest(),
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return f"{digest.hexdigest()[:24]}.so"


def sources_digest() -> str:
    """A hash of this program's own code that the library is made of, which a version number would not tell apart."""
    root = Path(__file__).resolve().parents[2]
    names = ("model/network/step_graph.py", "model/network/transformer.py", "model/engine/compile_worker.py")
    folders = ("kernels/rms_norm", "kernels/rope_kv_write", "kernels/swiglu")
    files = [*(root / name for name in names), *(root / name / "reference.py" for name in folders)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def why_not(network: "Transformer") -> str:
    """One phrase why nothing is compiled here, or an empty string."""
    if os.name != "posix":
        return "compiling is not supported on this system"
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        return f"there is no C++ compiler ({compiler})"
    config, weight = network.config, network.embed.weight
    if config.experts is not None:
        return "a mixture of experts is not compiled"
    size_bytes = weight.element_size() * (
        config.num_layers
        * config.d_model
        * (3 * config.d_ff + 2 * (config.num_heads + config.num_kv_heads) * config.d_head)
    )
    return "the network is too large for it" if size_bytes > MAX_WEIGHT_BYTES else ""


def child_command(checkpoint: Path, dtype: "torch.dtype", num_threads: int, work: Path, library: Path) -> list[str]:
    command = [sys.executable, "-E", "-P", "-m", "model.engine.compile_worker", "--with-parent"]
    command += ["--model", str(checkpoint.resolve()), "--dtype", str(dtype).removeprefix("torch.")]
    return [*command, "--threads", str(num_threads), "--work", str(work), "--out", str(library)]


def child_environment(work: Path) -> dict[str, str]:
    """Everything that the compiler writes lands in the work folder, and it starts no processes of its own."""
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(work / "inductor"), "TMPDIR": str(work)}
    return {**os.environ, **caches, "TORCHINDUCTOR_COMPILE_THREADS": "1"}


def remove_old(folder: Path) -> None:
    """Work folders of processes that were killed, and the libraries that were not used for the longest time."""
    for path in folder.glob(f"{WORK_PREFIX}*"):
        if time.time() - path.stat().st_mtime > 2 * TIMEOUT_S:
            shutil.rmtree(path, ignore_errors=True)
    libraries = sorted(folder.glob("*.so"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in libraries[MAX_LIBRARIES - 1 :]:
        path.unlink(missing_ok=True)  # an engine that uses it keeps it


def last_line(errors: Path) -> str:
    lines = errors.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else "no message"
