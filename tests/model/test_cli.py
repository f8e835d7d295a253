"""The model's commands: wrong use is one sentence and exit code 2, missing packages name the extra."""

import builtins
import json
import subprocess
import sys
from pathlib import Path

import pytest

from model import cli
from model.tokenizer import Tokenizer


def _run(argv: list[str], capsys) -> tuple[int, str, str]:
    code = cli.main(argv)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["corpus"],
        ["corpus", "biuld"],
        ["corpus", "build"],
        ["corpus", "build", "--from", "x", "--out", "y", "--max-bytes", "0"],
        ["corpus", "build", "--from", "nowhere", "--out", "y"],
        ["tokenizer", "train", "--out", "y"],
        ["tokenizer", "train", "--corpus", "nowhere", "--out", "y"],
        ["tokenizer", "train", "--shards", "nowhere", "--out", "y"],
    ],
)
def test_wrong_use_is_one_sentence(argv: list[str], capsys, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = _run(argv, capsys)
    assert code == 2
    assert out == ""
    assert err.startswith("seedling")
    assert err.endswith(".\n")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "argv", [["--help"], ["corpus", "--help"], ["corpus", "build", "--help"], ["tokenizer", "train", "-h"]]
)
def test_help(argv: list[str], capsys):
    code, out, err = _run(argv, capsys)
    assert (code, err) == (0, "")
    assert out.startswith("usage: seedling")


def test_every_command_has_a_module_with_arguments():
    for command in cli.COMMANDS:
        code = subprocess.run(
            [sys.executable, "-c", "import sys; from model.cli import main; sys.exit(main(sys.argv[1:]))",
             *command.words, "--help"], capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert code.returncode == 0, code.stderr
        assert "usage: seedling " + " ".join(command.words) in code.stdout


def test_a_missing_package_names_the_extra(capsys, monkeypatch):
    real_import = builtins.__import__

    def without_tokenizers(name, *args, **kwargs):
        if name == "tokenizers":
            raise ModuleNotFoundError("No module named 'tokenizers'", name="tokenizers")
        return real_import(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.startswith(("model.training", "model.tokenizer", "tokenizers"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_tokenizers)
    code, _, err = _run(["tokenizer", "train", "--corpus", ".", "--out", "x"], capsys)
    assert code == 1
    assert err == (
        'seedling: this command needs tokenizers, which is not installed: run pip install "seedling-lsp[train]".\n'
    )


def test_an_interruption_is_one_line(capsys, monkeypatch, tmp_path: Path):
    from model.training.corpus import command

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "build_corpus", interrupted)
    code, _, err = _run(["corpus", "build", "--from", ".", "--out", str(tmp_path)], capsys)
    assert code == 130
    assert err.count("\n") == 1
    assert "interrupted" in err


def test_our_own_faults_are_not_hidden(monkeypatch, tmp_path: Path):
    from model.training.corpus import command

    def broken(_):
        raise AssertionError("a fault of ours")

    monkeypatch.setattr(command, "build_corpus", broken)
    with pytest.raises(AssertionError):
        cli.main(["corpus", "build", "--from", ".", "--out", str(tmp_path)])


def test_a_tokenizer_is_trained_on_a_folder(capsys, tmp_path: Path):
    source = Path(cli.__file__).parent
    code, out, err = _run(
        ["tokenizer", "train", "--corpus", str(source), "--vocab", "700", "--out", str(tmp_path / "new" / "t.json")],
        capsys,
    )
    assert (code, err) == (0, "")
    assert "700 tokens" in out
    assert Tokenizer.load(tmp_path / "new" / "t.json").vocab_size == 700
    assert json.loads((tmp_path / "new" / "t.json").read_text())["added_tokens"] == []
