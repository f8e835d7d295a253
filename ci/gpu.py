"""`./dev gpu`: tests kernels, measures the device, trains the base preset for some minutes, evaluates it: one folder.

The folder has results.json and RESULTS.md (device, commit, every command, every score), the loss curve, and the weights
in parts of limited size. State is kept in runs/gpu, so the same command goes on after a kill: training from its last
save, evaluations with the next that is missing. `--rehearse` does all of it on the CPU with a tiny network. Every piece
of work is a command of its own. Standard library only; nothing is downloaded. Left out: setting up Python (./dev
setup), fetching evaluation files.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from gpu_about import ROOT, GpuError, describe
from gpu_checks import KERNEL_TESTS, Check, checks
from rehearsal import make_benchmark, make_shards
from weight_parts import JOIN, file_hash, write_parts

CHECKPOINT_FILES = ("model.safetensors", "tokenizer.json", "preset.json", "losses.jsonl")
RESUME_FILE = "resume.safetensors"
WRONG_INPUT, INTERRUPTED = 2, 130
REHEARSAL_ROWS, REHEARSAL_FILE_BYTES = 4, 1 << 16

# Rows of a step that pass the network at once, by the memory of the GPU. [est] from 1 GB for 4 rows of the base shape.
ROWS, MICRO_ROWS_OF_GB = 128, ((70, 64), (36, 32), (20, 16), (10, 8), (0, 4))


@dataclass(frozen=True)
class Evaluation:
    """`seedling eval WORDS` on a file of the evaluation folder, or with `data` None on the held-out shards."""

    name: str
    words: tuple[str, ...]
    data: str | None = None


SANTACODER = "santacoder-fim/santacoder-fim-python.jsonl.gz"
EVALUATIONS = (
    Evaluation("infill", ("infill",), SANTACODER),
    Evaluation("infill-oracle", ("infill", "--length", "oracle"), SANTACODER),
    Evaluation("infill-clean", ("infill", "--decoding", "clean"), SANTACODER),
    Evaluation("heldout", ("heldout",)),
    Evaluation("block", ("block",)),
    Evaluation("fix-heldout", ("fix",)),
    Evaluation("mend", ("mend",)),
    Evaluation("infill-lines", ("infill",), "human-eval-infilling/HumanEval-SingleLineInfilling.jsonl.gz"),
    Evaluation("infill-spans", ("infill",), "human-eval-infilling/HumanEval-RandomSpanInfillingLight.jsonl.gz"),
    Evaluation("fix-humaneval", ("fix",), "humanevalpack/humanevalpack-python.jsonl"),
    Evaluation("fix-quixbugs", ("fix",), "quixbugs/quixbugs_python.jsonl"),
    Evaluation("fix-debugbench", ("fix",), "debugbench/debugbench-python3.jsonl.gz"),
)


@dataclass
class Job:
    """Where things lie. `state` survives between calls; `about` describes device and source; `commands` were run."""

    state: Path
    out: Path
    shards: Path
    evals: Path | None
    rehearse: bool
    about: dict[str, Any] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    @property
    def model(self) -> Path:
        return self.state / "model"


def seedling(job: Job, words: Sequence[str], *, output: Path | None = None) -> int:
    """Runs `seedling WORDS` from this source tree; its exit code. `output` as in `python`."""
    program = "import sys; from model.cli import main; sys.exit(main(sys.argv[1:]))"
    return python(job, ["-c", program, *words], shown_command(words), output=output)


def python(
    job: Job,
    arguments: Sequence[str],
    shown: str,
    *,
    output: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Runs Python with this source tree on its path. What it says is shown, or with `output` written to OUTPUT.txt and
    OUTPUT.log.

    An interrupt reaches the command too, which saves what it has; this process only waits for it.
    """
    job.commands.append(shown)
    print(f"$ {shown}", file=sys.stderr, flush=True)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | dict(environment or {})
    if job.rehearse:
        variables["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, *arguments]
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        if output is None:
            return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode
        with output.with_suffix(".txt").open("wb") as said, output.with_suffix(".log").open("wb") as log:
            return subprocess.run(command, cwd=ROOT, env=variables, stdout=said, stderr=log, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def shown_command(words: Sequence[str]) -> str:
    """The command as the results name it: paths inside this source tree relative to it."""
    return shlex.join(["seedling", *words]).replace(f"{ROOT}/", "")


def check(job: Job) -> int:
    """Runs the checks that this source has no result of on this device. 0 = all passed or were left out for a reason.

    A failure stops nothing: it is in the results, and failed kernels are not used by what follows.
    """
    worst = 0
    for each in checks(ROOT, job.out, job.about, rehearse=job.rehearse):
        path = job.state / "results" / f"check-{each.name}.json"
        shown = shlex.join(["python", "-m", *each.words]).replace(f"{ROOT}/", "")
        about = {"device": job.about["device"], "source_sha256": job.about["source_sha256"], "command": shown}
        record = read_json(path)
        if not ("result" in record and about.items() <= record.items()):
            record = about | run_check(job, each, shown, path)
            if record.get("interrupted"):
                return INTERRUPTED
            write_json(path, record)
            write_results(job)
        if "failed" in record:
            worst = 1
            if each.name == KERNEL_TESTS:
                print("gpu: a kernel failed its tests; everything else runs without kernels", file=sys.stderr)
                os.environ["SEEDLING_KERNELS"] = "torch"
    return worst


def run_check(job: Job, each: Check, shown: str, path: Path) -> dict[str, Any]:
    if each.skip is not None:
        print(f"{each.name}: skipped, {each.skip}", file=sys.stderr)
        return {"skipped": each.skip}
    begun = time.monotonic()
    path.parent.mkdir(parents=True, exist_ok=True)
    code = python(job, ["-m", *each.words], shown, output=path, environment=each.environment)
    if code == INTERRUPTED or code < 0:
        return {"interrupted": True}
    return outcome(code, path, is_json=each.is_json) | {"seconds": round(time.monotonic() - begun, 1)}


def train_words(job: Job, minutes: float) -> list[str]:
    """The training command for the device at hand, as words."""
    words = ["train", "--shards", str(job.shards), "--out", str(job.model)]
    if job.rehearse:
        words += ["--config", "tiny_test", "--name", "rehearsal", "--max-steps", "12", "--rows", "2"]
        words += ["--micro-rows", "2", "--clean-tokens", "256", "--noisy-tokens", "128", "--no-compile", "--fp32"]
    else:
        words += ["--config", "base_30m", "--name", "seedling-30m", "--minutes", f"{minutes:g}"]
    memory_gb = job.about["device_memory_gb"]
    if memory_gb is not None and not job.rehearse:
        micro_rows = next(rows for gb, rows in MICRO_ROWS_OF_GB if memory_gb >= gb)
        words += ["--device", "cuda", "--rows", str(ROWS), "--micro-rows", str(micro_rows)]
    if (job.model / RESUME_FILE).exists():
        words.append("--resume")
    return words


def train(job: Job, minutes: float, max_file_bytes: int) -> int:
    """Trains (or goes on), then writes the weights in parts. The exit code of the training."""
    job.model.mkdir(parents=True, exist_ok=True)
    code = seedling(job, train_words(job, minutes))
    if code == 0:
        files = [job.model / name for name in CHECKPOINT_FILES]
        write_parts([file for file in files if file.exists()], job.out, max_file_bytes)
        if (job.model / "losses.png").exists():
            shutil.copyfile(job.model / "losses.png", job.out / "losses.png")
    return code


def eval_words(job: Job, evaluation: Evaluation) -> list[str] | str:
    """The command of an evaluation, as words; or one sentence that says why it is left out."""
    words = ["eval", *evaluation.words, "--model", str(job.model), "--json"]
    if job.rehearse:
        words += ["--limit", str(REHEARSAL_ROWS)]
    if evaluation.data is None:
        return [*words, "--shards", str(job.shards)]
    if job.evals is None:
        return f"no folder of evaluation files was given (--evals); {evaluation.data} is meant"
    if not (job.evals / evaluation.data).is_file():
        return f"{evaluation.data} is not in the evaluation folder"
    return [*words, "--data", str(job.evals / evaluation.data)]


def evaluate(job: Job) -> int:
    """Runs the evaluations that these weights have no result of. 0 = all ran or were left out for a reason."""
    weights = job.model / "model.safetensors"
    if not weights.is_file():
        raise GpuError(f"there are no weights in {job.model} to evaluate: train first (--train)")
    sha256 = file_hash(weights)
    worst = 0
    for evaluation in EVALUATIONS:
        path = job.state / "results" / f"{evaluation.name}.json"
        words = eval_words(job, evaluation)
        command = words if isinstance(words, str) else shown_command(words)
        known = read_json(path)
        if known.get("weights_sha256") == sha256 and known.get("command") == command and "result" in known:
            continue
        record: dict[str, Any] = {"weights_sha256": sha256, "command": command}
        if isinstance(words, str):
            record["skipped"] = words
            print(f"{evaluation.name}: skipped, {words}", file=sys.stderr)
        else:
            begun = time.monotonic()
            path.parent.mkdir(parents=True, exist_ok=True)
            code = seedling(job, words, output=path)
            if code == INTERRUPTED or code < 0:
                return INTERRUPTED
            record |= outcome(code, path) | {"seconds": round(time.monotonic() - begun, 1)}
            worst = max(worst, int("failed" in record))
        write_json(path, record)
        write_results(job)
    return worst


def outcome(code: int, output: Path, *, is_json: bool = True) -> dict[str, Any]:
    """What a command gave: its last line; or the sentence with which it was skipped (wrong input) or failed."""
    text, log = (output.with_suffix(end).read_text(encoding="utf-8", errors="replace") for end in (".txt", ".log"))
    print(text.strip().rpartition("\n")[0] if is_json else text.strip(), flush=True)
    if code:
        sentence = (log if is_json else text).strip().rpartition("\n")[2]
        print(sentence, file=sys.stderr)
        return {"skipped" if code == WRONG_INPUT else "failed": f"exit code {code}: {sentence}"}
    if not is_json:
        return {"result": text.strip().rpartition("\n")[2]}
    try:
        return {"result": json.loads(text.strip().rpartition("\n")[2])}
    except json.JSONDecodeError:
        return {"failed": "its last line is not JSON"}


def write_results(job: Job) -> None:
    """results.json and RESULTS.md from what is in the state folder so far."""
    preset = read_json(job.model / "preset.json")
    log = job.state / "commands.txt"
    with log.open("a", encoding="utf-8") as file:
        file.writelines(f"{command}\n" for command in job.commands)
    job.commands.clear()
    commands = list(dict.fromkeys(log.read_text(encoding="utf-8").splitlines()))
    paths = sorted(job.state.glob("results/check-*.json"))
    checked = {path.stem.removeprefix("check-"): read_json(path) for path in paths}
    evaluations = {e.name: read_json(job.state / "results" / f"{e.name}.json") for e in EVALUATIONS}
    results = {
        **job.about,
        "rehearsal": job.rehearse,
        "commands": commands,
        "model": preset.get("name"),
        "trained": preset.get("trained"),
        "checks": checked,
        "evaluations": {name: record for name, record in evaluations.items() if record},
    }
    job.out.mkdir(parents=True, exist_ok=True)
    write_json(job.out / "results.json", results)
    (job.out / "RESULTS.md").write_text(summary(results, job.state / "results"), encoding="utf-8")


def summary(results: dict[str, Any], tables: Path) -> str:
    """RESULTS.md: device, commit, commands, the evaluations' own tables, and how to join the weights."""
    lines = [f"# {results['model']}" + (" (a rehearsal: the scores mean nothing)" if results["rehearsal"] else ""), ""]
    shown = ("date", "device", "cpu", "python", "torch", "commit", "source_sha256")
    lines += [f"- {name}: {results[name]}" for name in shown]
    lines += [f"- {name}: {value}" for name, value in (results["trained"] or {}).items()]
    lines += ["", "```", *results["commands"], "```", "", f"Weights, where they are here: `{JOIN}`", ""]
    records = {f"check-{name}": record for name, record in results["checks"].items()} | results["evaluations"]
    for name, record in records.items():
        lines += [f"## {name}", ""]
        if "result" in record:
            text = (tables / f"{name}.txt").read_text(encoding="utf-8").strip()
            table = text.rpartition("\n")[0] if isinstance(record["result"], dict) else text
            lines += ["```", table, "```", ""]
        else:
            lines += [f"skipped: {record['skipped']}" if "skipped" in record else f"failed: {record['failed']}", ""]
    return "\n".join(lines) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong use gets one sentence instead of the usage block."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, f"dev: {self.prog} {message}; {self.prog} --help shows how.\n")


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="./dev gpu", allow_abbrev=False, description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=float, help="training time, all calls together")
    parser.add_argument("--check", action="store_true", help="only test the kernels and measure the device")
    parser.add_argument("--train", action="store_true", help="only train; without any of these three: all")
    parser.add_argument("--evaluate", action="store_true", help="only evaluate what was trained")
    parser.add_argument("--shards", type=Path, metavar="DIR", help="folder of `seedling corpus build`")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for results and weights")
    parser.add_argument(
        "--evals", type=Path, metavar="DIR", help="folder of evaluation files; missing ones are skipped"
    )
    parser.add_argument("--max-file-mb", type=int, default=15, metavar="N", help="largest file of the weights, in MiB")
    parser.add_argument("--rehearse", action="store_true", help="all of it on the CPU in minutes, with a tiny network")
    args = parser.parse_args(words)
    if not (args.check or args.train or args.evaluate):
        args.check = args.train = args.evaluate = True
    if args.max_file_mb < 1:
        parser.error("--max-file-mb must be at least 1")
    if not args.rehearse:
        needed = ("shards",) * (args.train or args.evaluate) + ("out",) + ("minutes",) * args.train
        for name in needed:
            if getattr(args, name) is None:
                parser.error(f"needs --{name}")
        if args.train and args.minutes <= 0:
            parser.error("--minutes must be more than 0")
    for name in ("shards", "evals"):
        folder = getattr(args, name)
        if folder is not None and not folder.is_dir():
            parser.error(f"--{name} names no folder: {folder}")
    return args


def run(args: argparse.Namespace) -> int:
    state = ROOT / "runs" / ("gpu-rehearsal" if args.rehearse else "gpu")
    out = (args.out or state / "out").resolve()
    job = Job(
        state, out, (args.shards or state / "shards").resolve(), args.evals and args.evals.resolve(), args.rehearse
    )
    job.about = describe(args.rehearse)
    print(f"gpu: {job.about['device']}, torch {job.about['torch']}, commit {job.about['commit']}", file=sys.stderr)
    if args.rehearse and (args.train or args.check):
        shutil.rmtree(state, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    worst = check(job) if args.check else 0
    if worst == INTERRUPTED or not (args.train or args.evaluate):
        return said_how(worst, job)
    if args.rehearse and args.shards is None:
        code = make_shards(ROOT, state, lambda words: seedling(job, words))
        if code:
            return code
    if args.rehearse and args.evals is None:
        job.evals = state / "evals"
        make_benchmark(ROOT, job.evals)
    max_file_bytes = REHEARSAL_FILE_BYTES if args.rehearse else args.max_file_mb << 20
    code = train(job, args.minutes or 1.0, max_file_bytes) if args.train else 0
    if not code and args.evaluate:
        code = evaluate(job)
    if not code or args.evaluate:
        write_results(job)
    return said_how(code or worst, job)


def said_how(code: int, job: Job) -> int:
    said = {0: f"results are in {job.out}", INTERRUPTED: "interrupted; the same command goes on"}
    print(f"gpu: {said.get(code, f'ended with code {code}; the state so far is in {job.state}')}", file=sys.stderr)
    return code


def main() -> int:
    try:
        return run(parse(sys.argv[1:]))
    except GpuError as error:
        sentence = str(error)
    except KeyboardInterrupt:
        print("gpu: interrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        sentence = f"cannot write {error.filename or 'the results'} ({error.strerror or error})"
    print(f"dev: gpu: {sentence}.", file=sys.stderr)
    return WRONG_INPUT


if __name__ == "__main__":
    sys.exit(main())
