"""Compiling in the background: names, bounds, and children that fail, hang or make rubbish. One slow test compiles."""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch

from model.checkpoints.load import load_checkpoint
from model.engine import compiling
from model.engine.compiling import MAX_LIBRARIES, BackgroundCompile, child_command, library_name, remove_old, why_not
from model.engine.lock import take_lock
from model.network.compiled import CompiledLayers
from model.network.config import Experts, tiny_test
from model.network.transformer import Transformer

needs_compiler = pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler")


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, "the condition never became true"
        time.sleep(0.01)


def only_locks(folder: Path) -> bool:
    return all(path.suffix == ".lock" for path in folder.iterdir())


@pytest.fixture
def network(checkpoint_folder) -> Transformer:
    return load_checkpoint(checkpoint_folder, dtype=torch.float32).network


@pytest.fixture
def child(monkeypatch):
    """Makes the child run the given Python code; sys.argv[1] is the library's path."""

    def use(code: str) -> None:
        monkeypatch.setattr(compiling, "why_not", lambda _network: "")
        monkeypatch.setattr(
            compiling, "child_command", lambda _c, _d, _t, _w, library: [sys.executable, "-c", code, str(library)]
        )

    return use


def test_a_name_stands_for_all_a_library_depends_on(checkpoint_folder, tmp_path) -> None:
    name = library_name(checkpoint_folder, torch.float32, 2)
    assert name == library_name(checkpoint_folder, torch.float32, 2)
    assert name != library_name(checkpoint_folder, torch.bfloat16, 2)
    assert name != library_name(checkpoint_folder, torch.float32, 1)
    other = tmp_path / "other"
    shutil.copytree(checkpoint_folder, other)
    assert name == library_name(other, torch.float32, 2)
    with (other / "model.safetensors").open("ab") as weights:
        weights.write(b"\0")
    assert name != library_name(other, torch.float32, 2)


def test_the_least_recently_used_libraries_go(tmp_path) -> None:
    now_s = time.time()
    for age in range(MAX_LIBRARIES + 2):
        library = tmp_path / f"{age}.so"
        library.touch()
        os.utime(library, (now_s - age, now_s - age))
    old, new = tmp_path / "work-old", tmp_path / "work-new"
    for work in (old, new):
        work.mkdir()
    os.utime(old, (0, 0))
    remove_old(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.so", "1.so", "2.so", "work-new"]


def test_without_a_compiler_the_reason_is_said(monkeypatch, network) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    if os.name == "posix":
        assert why_not(network) == "there is no C++ compiler (no-such-compiler)"


def test_a_mixture_of_experts_is_not_compiled(monkeypatch, make_network) -> None:
    monkeypatch.setenv("CXX", sys.executable)
    experts = Experts(num_experts=4, num_chosen=2, d_ff=16, router="softmax")
    if os.name == "posix":
        assert why_not(make_network(tiny_test())) == ""
        mixture = make_network(msgspec.structs.replace(tiny_test(), experts=experts))
        assert why_not(mixture) == "a mixture of experts is not compiled"


def test_a_failing_child_leaves_eager_mode_and_nothing_on_the_disk(child, caplog, network, checkpoint_folder, tmp_path):
    child("import sys; open('half', 'w').close(); print('first\\nno space', file=sys.stderr); sys.exit(1)")
    with caplog.at_level(logging.INFO, "seedling.engine"):
        BackgroundCompile(tmp_path / "compiled", delay_s=0).start(network, checkpoint_folder)
        wait_until(lambda: "no space" in caplog.text)
    wait_until(lambda: only_locks(tmp_path / "compiled"))
    assert network.compiled is None


def test_stopping_ends_the_child_and_removes_its_folder(child, network, checkpoint_folder, tmp_path) -> None:
    child("import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)")
    folder = tmp_path / "compiled"
    background = BackgroundCompile(folder, delay_s=0)
    background.start(network, checkpoint_folder)
    wait_until(lambda: any(path.read_text() for path in folder.glob("work-*/pid")))
    pid = int(next(folder.glob("work-*/pid")).read_text())
    background.stop()
    wait_until(lambda: only_locks(folder))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_another_engine_is_making_is_not_made_twice(
    child, caplog, monkeypatch, network, checkpoint_folder, tmp_path
) -> None:
    folder, begun, tries = tmp_path / "compiled", tmp_path / "begun", []
    folder.mkdir(mode=0o700)
    child(f"open({str(begun)!r}, 'w').close(); raise SystemExit('made by us')")
    monkeypatch.setattr(compiling, "POLL_S", 0.01)
    monkeypatch.setattr(compiling, "take_lock", lambda path: (tries.append(path), take_lock(path))[1])
    library = folder / library_name(checkpoint_folder, torch.float32, torch.get_num_threads())
    lock = take_lock(library.with_suffix(".lock"))
    assert lock is not None
    with caplog.at_level(logging.INFO, "seedling.engine"):
        BackgroundCompile(folder, delay_s=0).start(network, checkpoint_folder)
        wait_until(lambda: len(tries) > 2)
        assert not begun.exists()
        os.close(lock)  # the other engine was killed
        wait_until(lambda: "made by us" in caplog.text)
    assert begun.exists()


def test_an_engine_that_ends_at_once_compiles_nothing(child, network, checkpoint_folder, tmp_path) -> None:
    child("raise AssertionError")
    background = BackgroundCompile(tmp_path / "compiled", delay_s=600)
    background.start(network, checkpoint_folder)
    background.stop()
    assert not (tmp_path / "compiled").exists()


def test_a_library_that_cannot_be_loaded_is_removed(child, caplog, network, checkpoint_folder, tmp_path) -> None:
    child("import sys; open(sys.argv[1], 'w').write('rubbish')")
    folder = tmp_path / "compiled"
    with caplog.at_level(logging.INFO, "seedling.engine"):
        BackgroundCompile(folder, delay_s=0).start(network, checkpoint_folder)
        wait_until(lambda: "cannot be used" in caplog.text)
    wait_until(lambda: only_locks(folder))
    assert network.compiled is None


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_library_that_others_could_replace_is_not_loaded(child, caplog, network, checkpoint_folder, tmp_path) -> None:
    folder = tmp_path / "compiled"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / library_name(checkpoint_folder, torch.float32, torch.get_num_threads())).write_bytes(b"")
    with caplog.at_level(logging.INFO, "seedling.engine"):
        BackgroundCompile(folder, delay_s=0).start(network, checkpoint_folder)
        wait_until(lambda: "mode 0700" in caplog.text)
    assert network.compiled is None


def test_the_child_ends_with_its_parent(checkpoint_folder, tmp_path) -> None:
    command = child_command(checkpoint_folder, torch.float32, 1, tmp_path, tmp_path / "layers.so")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@needs_compiler
def test_the_layers_are_compiled_once_and_loaded_again(caplog, network, checkpoint_folder, tmp_path) -> None:
    folder = tmp_path / "compiled"
    with caplog.at_level(logging.INFO, "seedling.engine"):
        BackgroundCompile(folder, delay_s=0).start(network, checkpoint_folder)
        wait_until(lambda: "compiled layers in use" in caplog.text or "WARNING" in caplog.text, timeout_s=280)
    assert isinstance(network.compiled, CompiledLayers), caplog.text
    wait_until(lambda: sorted(path.suffix for path in folder.iterdir()) == [".lock", ".so"])
    network.compiled = None
    BackgroundCompile(folder, delay_s=600).start(network, checkpoint_folder)
    wait_until(lambda: network.compiled is not None)
