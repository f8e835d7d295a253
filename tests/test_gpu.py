"""./dev gpu: its commands, what it leaves out and says so, how it goes on, and the weights in parts and joined."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
ABOUT = {"device": "A GPU", "device_memory_gb": 80.0, "found": ["triton", "pytest"],
         "date": "today", "cpu": "x", "python": "3", "torch": "2",
         "commit": "abc", "source_sha256": "def"}  # fmt: skip


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "ci"))
    import gpu

    yield gpu
    for name in ("gpu", "gpu_about", "gpu_checks", "rehearsal", "weight_parts"):
        sys.modules.pop(name, None)


@pytest.fixture
def make_job(gpu: ModuleType, tmp_path: Path):
    """A job with all folders under tmp_path."""

    def make(**changes):
        given = {"state": tmp_path / "state", "out": tmp_path / "out", "shards": tmp_path / "shards", "evals": None,
                 "rehearse": False, "about": dict(ABOUT), **changes}  # fmt: skip
        return gpu.Job(**given)

    return make


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_the_base_preset_is_trained_on_the_gpu(gpu, make_job):
    words = gpu.train_words(make_job(), 20)
    assert words[0] == "train"
    assert option(words, "--config") == "base_30m"
    assert option(words, "--device") == "cuda"
    assert option(words, "--minutes") == "20"
    assert "--resume" not in words


@pytest.mark.parametrize("memory_gb", [6.0, 12.0, 24.0, 40.0, 80.0, 140.0])
def test_rows_at_once_fit_the_memory_and_divide_the_step(gpu, make_job, memory_gb: float):
    words = gpu.train_words(make_job(about=ABOUT | {"device_memory_gb": memory_gb}), 1)
    rows, micro_rows = int(option(words, "--rows")), int(option(words, "--micro-rows"))
    assert rows % micro_rows == 0
    assert micro_rows <= memory_gb


def test_without_a_gpu_the_defaults_of_the_cpu_hold(gpu, make_job):
    words = gpu.train_words(make_job(about=ABOUT | {"device_memory_gb": None}), 1)
    assert option(words, "--config") == "base_30m"
    assert not {"--device", "--rows", "--micro-rows"} & set(words)


def test_the_training_commands_are_ones_that_seedling_has(gpu, make_job):
    import argparse

    from model.training.command import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for rehearse in (False, True):
        parser.parse_args(gpu.train_words(make_job(rehearse=rehearse), 1)[1:])


def test_the_evaluation_commands_are_ones_that_seedling_has(gpu, make_job, tmp_path: Path):
    import argparse
    from importlib import import_module

    from model.cli import COMMANDS

    for evaluation in gpu.EVALUATIONS:
        if evaluation.data is not None:
            (tmp_path / "evals" / evaluation.data).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "evals" / evaluation.data).touch()
        words = gpu.eval_words(make_job(evals=tmp_path / "evals", rehearse=True), evaluation)
        command = next(command for command in COMMANDS if command.words == tuple(words[:2]))
        parser = argparse.ArgumentParser()
        import_module(command.module).add_arguments(parser)
        args = parser.parse_args(words[2:])
        assert args.json
        assert args.limit


def test_a_missing_evaluation_is_said_not_run(gpu, make_job, tmp_path: Path):
    (tmp_path / "evals").mkdir()
    on_file = next(e for e in gpu.EVALUATIONS if e.data)
    assert "--evals" in gpu.eval_words(make_job(), on_file)
    assert f"{on_file.data} is not in" in gpu.eval_words(make_job(evals=tmp_path / "evals"), on_file)


@pytest.fixture
def commands(gpu, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """`seedling` replaced: train writes a checkpoint, eval infill fails, eval block refuses, the others answer."""
    ran: list[list[str]] = []

    def seedling(job, words, *, output: Path | None = None) -> int:
        ran.append(list(words))
        job.commands.append(shlex.join(["seedling", *words]))
        if words[0] == "train":
            weights = os.urandom(1000)
            preset = {"name": "toy", "trained": {"steps": 5}}
            for name, data in (("model.safetensors", weights), ("preset.json", json.dumps(preset).encode()),
                               ("tokenizer.json", b"{}"), (gpu.RESUME_FILE, b"")):  # fmt: skip
                (job.model / name).write_bytes(data)
            return 0
        assert output is not None
        code = {"infill": 1, "block": 2}.get(words[1], 0)
        output.with_suffix(".txt").write_text('a table\n{"score": 0.5}\n' if code == 0 else "")
        output.with_suffix(".log").write_text("some progress\nthe last sentence\n")
        return code

    monkeypatch.setattr(gpu, "seedling", seedling)
    return ran


def test_results_say_what_ran_what_was_skipped_and_what_failed(gpu, make_job, commands, tmp_path: Path):
    (tmp_path / "evals" / gpu.SANTACODER).parent.mkdir(parents=True)
    (tmp_path / "evals" / gpu.SANTACODER).touch()
    job = make_job(evals=tmp_path / "evals")
    assert gpu.train(job, 1, 1 << 20) == 0
    assert gpu.evaluate(job) == 1, "an evaluation failed"
    results = json.loads((job.out / "results.json").read_text())
    found = results["evaluations"]
    assert set(found) == {evaluation.name for evaluation in gpu.EVALUATIONS}
    assert found["heldout"]["result"] == {"score": 0.5}
    assert found["infill"]["failed"] == "exit code 1: the last sentence"
    assert found["block"]["skipped"] == "exit code 2: the last sentence"
    assert "is not in the evaluation folder" in found["fix-quixbugs"]["skipped"]
    assert results["trained"] == {"steps": 5}
    assert results["device"] == "A GPU"
    assert results["commands"] == [shlex.join(["seedling", *words]) for words in commands]
    page = (job.out / "RESULTS.md").read_text()
    assert "- commit: abc" in page
    assert "a table" in page
    assert all(command in page for command in results["commands"])


def test_the_same_command_goes_on(gpu, make_job, commands):
    job = make_job()
    gpu.train(job, 1, 1 << 20)
    gpu.evaluate(job)
    first = list(commands)
    commands.clear()
    assert "--resume" in gpu.train_words(job, 1)
    gpu.evaluate(job)
    assert [words[1] for words in commands] == ["block"], "only what gave no result is run again"
    assert "block" in [words[1] for words in first]
    commands.clear()
    gpu.train(job, 1, 1 << 20)
    gpu.evaluate(job)
    assert len(commands) == len(first), "other weights, other results"


def test_weights_must_be_there_to_be_evaluated(gpu, make_job):
    with pytest.raises(gpu.GpuError, match="train first"):
        gpu.evaluate(make_job())


def make_files(folder: Path) -> list[Path]:
    folder.mkdir()
    files = []
    for name, data in (("model.safetensors", os.urandom(150_000)), ("preset.json", b"{}"), ("empty", b"")):
        (folder / name).write_bytes(data)
        files.append(folder / name)
    return files


def join(gpu, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", gpu.JOIN], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("max_bytes", [40_000, 163_840, 1 << 20])
def test_parts_are_small_and_join_to_the_same_files(gpu, tmp_path: Path, max_bytes: int):
    files, out = make_files(tmp_path / "model"), tmp_path / "out"
    names = gpu.write_parts(files, out, max_bytes)
    assert sorted(names) == sorted(path.name for path in out.iterdir())
    parts = [out / name for name in names[:-1]]
    assert all(0 < part.stat().st_size <= max_bytes for part in parts)
    assert len(parts) == -(-sum(part.stat().st_size for part in parts) // max_bytes)
    done = join(gpu, out)
    assert done.returncode == 0, done.stderr
    for file in files:
        assert (out / "weights" / file.name).read_bytes() == file.read_bytes()


def test_a_damaged_part_is_not_joined(gpu, tmp_path: Path):
    out = tmp_path / "out"
    names = gpu.write_parts(make_files(tmp_path / "model"), out, 40_000)
    (out / names[1]).write_bytes(b"x" * 40_000)
    assert join(gpu, out).returncode != 0
    assert not (out / "weights").exists()


def test_the_list_of_hashes_holds_the_whole_too_and_old_parts_go(gpu, tmp_path: Path):
    files, out = make_files(tmp_path / "model"), tmp_path / "out"
    many = gpu.write_parts(files, out, 40_000)
    (few, listing) = gpu.write_parts(files, out, 1 << 20)
    assert len(many) > 2
    assert {path.name for path in out.iterdir()} == {few, listing}
    hashes = dict(line.split()[::-1] for line in (out / listing).read_text().splitlines())
    assert hashes[few] == hashes["weights.tar"] == gpu.file_hash(out / few)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs --shards"),
        (["--shards", "."], "needs --out"),
        (["--shards", ".", "--out", "x"], "needs --minutes"),
        (["--shards", ".", "--out", "x", "--minutes", "0"], "more than 0"),
        (["--shards", "nowhere", "--out", "x", "--minutes", "1"], "names no folder: nowhere"),
        (["--rehearse", "--evals", "nowhere"], "names no folder: nowhere"),
        (["--rehearse", "--max-file-mb", "0"], "at least 1"),
        (["--fly"], "unrecognized arguments"),
    ],
)
def test_wrong_use_is_one_sentence(gpu, capsys, words: list[str], said: str):
    with pytest.raises(SystemExit) as leaving:
        gpu.parse(words)
    error = capsys.readouterr().err
    assert leaving.value.code == 2
    assert said in error
    assert error.count("\n") == 1


def test_none_of_the_parts_means_all(gpu):
    rest = ["--shards", ".", "--out", "x", "--minutes", "1"]
    parts = {(): (True, True, True), ("--check",): (True, False, False), ("--train",): (False, True, False),
             ("--evaluate",): (False, False, True)}  # fmt: skip
    for words, expected in parts.items():
        args = gpu.parse([*rest, *words])
        assert (args.check, args.train, args.evaluate) == expected
    assert gpu.parse(["--check", "--out", "x"]).shards is None, "checks need no shards"


@pytest.fixture
def ran_checks(gpu, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """`python -m` replaced: the kernel tests fail, the twin is interrupted the first time, the others answer."""
    ran: list[tuple[str, dict[str, str]]] = []
    interrupted: list[str] = []
    monkeypatch.delenv("SEEDLING_KERNELS", raising=False)

    def python(job, arguments, shown, *, output: Path, environment=None) -> int:
        ran.append((shown, {**os.environ, **(environment or {})}))
        job.commands.append(shown)
        is_tests = arguments[1] == "pytest"
        output.with_suffix(".txt").write_text("1 failed in 2s\n" if is_tests else 'a table\n{"step_ms": 3.5}\n')
        output.with_suffix(".log").write_text("")
        if arguments[1] == "benchmarks.twin" and not interrupted:
            interrupted.append(shown)
            return gpu.INTERRUPTED
        return int(is_tests)

    monkeypatch.setattr(gpu, "python", python)
    yield ran
    os.environ.pop("SEEDLING_KERNELS", None)


def test_failed_kernels_are_told_and_not_used_and_checks_go_on(gpu, make_job, ran_checks):
    job = make_job()
    assert gpu.check(job) == gpu.INTERRUPTED
    assert [command.split()[2] for command, _ in ran_checks] == [
        "pytest", "benchmarks.roofline", "benchmarks.roofline", "benchmarks.twin"]  # fmt: skip
    assert "SEEDLING_KERNELS" not in ran_checks[0][1]
    assert all(environment["SEEDLING_KERNELS"] == "torch" for _, environment in ran_checks[1:])
    ran_checks.clear()
    assert gpu.check(job) == 1, "the kernels failed"
    assert [command.split()[2] for command, _ in ran_checks] == ["pytest", "benchmarks.twin"], "what gave no result"
    results = json.loads((job.out / "results.json").read_text())
    assert results["checks"]["kernels"]["failed"] == "exit code 1: 1 failed in 2s"
    assert results["checks"]["roofline"]["result"] == {"step_ms": 3.5}
    assert "## check-roofline\n\n```\na table\n```" in (job.out / "RESULTS.md").read_text()


def test_what_a_device_cannot_do_is_skipped_with_a_reason(gpu, tmp_path: Path):
    def skips(**changes) -> dict[str, str | None]:
        found = gpu.checks(ROOT, tmp_path, ABOUT | changes, rehearse=False)
        return {each.name: each.skip for each in found}

    assert set(skips().values()) == {None}
    assert skips(found=["triton"])["kernels"] == "not installed: pytest"
    assert "8 B weights want" in (skips(device_memory_gb=12.0)["roofline"] or "")
    assert skips(device_memory_gb=12.0)["step"] is None
    without = skips(device_memory_gb=None)
    assert without["kernels"] == without["roofline"] == without["step"] == "there is no CUDA GPU here"
    assert without["twin"] is None


@pytest.mark.slow
@pytest.mark.timeout(900)  # on shared cores
def test_the_rehearsal_does_all_of_it(tmp_path: Path):
    done = subprocess.run(
        ["bash", "dev", "gpu", "--rehearse", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["rehearsal"] is True
    assert results["device"] == "cpu"
    assert {name for name, record in results["checks"].items() if "result" in record} == {
        "kernels", "roofline", "step", "twin"}  # fmt: skip
    assert {"infill", "heldout", "fix-heldout", "mend"} <= {
        name for name, record in results["evaluations"].items() if "result" in record
    }
    assert len(list(tmp_path.glob("weights.tar.*"))) > 1
    checked = subprocess.run(["sha256sum", "-c", "--ignore-missing", "SHA256SUMS"], cwd=tmp_path, check=False)
    assert checked.returncode == 0
