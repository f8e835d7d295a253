"""The whole build on synthetic packages: shards, splits, manifest, going on after an interruption, and wrong input."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model.tokenizer import Tokenizer, TokenizerError
from model.training.corpus import packages
from model.training.corpus.build import BuildOptions, build_corpus, fair_sample
from model.training.corpus.select import Document
from model.training.corpus.shards import shard_texts
from model.training.corpus.sources import CorpusError

OUTPUTS = ["meta.json", "manifest.json", "tokenizer.json", "train.bin", "train.idx.npy", "train.paths.txt",
           "heldout.bin", "heldout.idx.npy", "heldout.paths.txt"]  # fmt: skip
PROMPT = "You are given a list of deposit and withdrawal operations on an account that starts with zero"


@pytest.fixture
def index(make_wheel, make_sdist, make_module, tmp_path: Path) -> Path:
    """Four packages to train on, one held out, one copyleft, one broken, one that copies the held-out one."""
    click = make_module("click", 20)
    make_wheel("alpha", files={"alpha/core.py": make_module("a1"), "alpha/tests/test_a.py": make_module("a2")})
    make_wheel("beta", files={"beta/core.py": make_module("b1"), "beta/_vendor/x.py": make_module("b2")})
    make_sdist("gamma", files={"gamma/core.py": make_module("g1"), "gamma/copy.py": make_module("a1")})
    make_wheel("Click", files={"click/core.py": click, "click/table.py": "T = [\n" + "    'aaaa',\n" * 400 + "]\n"})
    make_wheel("delta", files={"delta/like.py": "\n".join([*click.splitlines()[:60], make_module("d1", 2)]),
                               "delta/click/core.py": make_module("d2"), "delta/core.py": make_module("d3"),
                               "delta/puzzle.py": make_module("d4") + f"# {PROMPT}\n"})  # fmt: skip
    make_wheel("omega", licence="GPL-3.0-only")
    (tmp_path / "index" / "broken-1.0-py3-none-any.whl").write_bytes(b"PK\3\4 broken")
    evals = tmp_path / "evals"
    evals.mkdir()
    (evals / "puzzles.jsonl").write_text(json.dumps({"prompt": PROMPT}) + "\n")
    return tmp_path / "index"


def _options(index: Path, out: Path, **changes) -> BuildOptions:
    given = {"folders": [index], "out": out, "evals": index.parent / "evals", "vocab_size": 340, **changes}
    return BuildOptions(**given)


def _outputs(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in OUTPUTS}


def _texts(out: Path, split: str) -> Iterator[str]:
    return shard_texts(out, split, Tokenizer.load(out / "tokenizer.json"))


def test_what_enters_and_what_does_not(index: Path, make_module, tmp_path: Path):
    meta = build_corpus(_options(index, tmp_path / "out"))
    train = {"a1", "a2", "b1", "g1", "d3"}
    assert sorted(_texts(tmp_path / "out", "train")) == sorted(make_module(seed) for seed in train)
    assert list(_texts(tmp_path / "out", "heldout")) == [make_module("click", 20)]
    assert (meta.train.documents, meta.heldout.documents, meta.vocab_size) == (5, 1, 340)
    assert meta.train.bytes == sum(len(make_module(seed)) for seed in train)


def test_the_shards_are_what_the_format_says(index: Path, make_module, tmp_path: Path):
    out = tmp_path / "out"
    meta = build_corpus(_options(index, out))
    tokenizer = Tokenizer.load(out / "tokenizer.json")
    ids, offsets = np.fromfile(out / "train.bin", dtype=np.uint16), np.load(out / "train.idx.npy")
    paths = (out / "train.paths.txt").read_text().splitlines()
    assert offsets.dtype == np.int64
    assert offsets[0] == 0
    assert offsets[-1] == len(ids) == meta.train.tokens
    by_path = {path: tokenizer.decode(ids[offsets[n] : offsets[n + 1]].tolist()) for n, path in enumerate(paths)}
    assert by_path["alpha/core.py"] in (make_module("a1"),)
    assert by_path["beta/core.py"] == make_module("b1")
    assert int(ids.min()) >= 64
    assert meta.tokenizer_sha256 == tokenizer.sha256
    assert json.loads((out / "meta.json").read_text())["train"]["tokens"] == meta.train.tokens


def test_the_manifest_names_what_was_used_and_why_the_rest_was_not(index: Path, make_module, tmp_path: Path):
    build_corpus(_options(index, tmp_path / "out"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    used = {item["name"]: item for item in manifest["packages"]}
    assert set(used) == {"alpha", "beta", "gamma", "delta", "click"}
    assert used["beta"] == {"name": "beta", "version": "1.0", "archive": "beta-1.0-py3-none-any.whl", "licence": "MIT",
                            "split": "train", "files": 1, "bytes": len(make_module("b1"))}  # fmt: skip
    assert used["click"]["split"] == "heldout"
    assert {item["name"]: item["reason"] for item in manifest["rejected_packages"]} == {
        "omega": "licence expression is not permissive",
        "broken": "unreadable archive (BadZipFile)",
    }
    assert manifest["dropped_file_counts"] == {
        "mostly data literals": 1,
        "copied from another project": 1,
        "exact duplicate": 1,
        "like a file of a held-out project": 1,
        "copied from a held-out project": 1,
        "shares 10 words with an evaluation prompt": 1,
    }
    assert manifest["evaluation"]["prompts"] == 1


def test_copies_of_dropped_held_out_files_are_found(index: Path, make_wheel, make_module, tmp_path: Path):
    generated = "# @generated\n" + make_module("words", 20)
    make_wheel("requests", files={"requests/core.py": make_module("r"), "requests/words.py": generated})
    make_wheel("eta", files={"eta/words.py": make_module("words", 20) + make_module("e", 2)})
    build_corpus(_options(index, tmp_path / "out"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert "eta" not in {item["name"] for item in manifest["packages"]}
    assert manifest["dropped_file_counts"]["like a file of a held-out project"] == 2


def test_a_second_run_gives_the_same_bytes(index: Path, tmp_path: Path):
    build_corpus(_options(index, tmp_path / "one"))
    build_corpus(_options(index, tmp_path / "two"))
    assert _outputs(tmp_path / "one") == _outputs(tmp_path / "two")
    first = _outputs(tmp_path / "one")
    build_corpus(_options(index, tmp_path / "one"))
    assert _outputs(tmp_path / "one") == first


@pytest.mark.parametrize("num_packages", [1, 4])
def test_an_interrupted_build_goes_on(index: Path, tmp_path: Path, monkeypatch, num_packages: int):
    build_corpus(_options(index, tmp_path / "whole"))
    opened: list[str] = []
    open_source = packages.open_source

    def interrupted_open(source):
        if len(opened) == num_packages:
            raise KeyboardInterrupt
        opened.append(source.project)
        return open_source(source)

    monkeypatch.setattr(packages, "open_source", interrupted_open)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(_options(index, tmp_path / "parts"))
    assert not (tmp_path / "parts" / "meta.json").exists()
    reopened: list[str] = []
    monkeypatch.setattr(packages, "open_source", lambda source: reopened.append(source.project) or open_source(source))
    build_corpus(_options(index, tmp_path / "parts"))
    assert not set(opened) & set(reopened)
    assert _outputs(tmp_path / "parts") == _outputs(tmp_path / "whole")


def test_other_rules_build_the_packages_anew(index: Path, make_module, tmp_path: Path):
    out = tmp_path / "out"
    build_corpus(_options(index, out))
    meta = build_corpus(_options(index, out, held_out=("beta",)))
    assert meta.heldout.documents == 2
    assert make_module("b1") not in list(_texts(out, "train"))


def test_limits_of_size(index: Path, tmp_path: Path, make_module):
    one = len(make_module("a1"))
    limited = build_corpus(_options(index, tmp_path / "out", max_bytes=one * 2))
    assert one * 2 <= limited.train.bytes < one * 4
    build_corpus(_options(index, tmp_path / "share", max_project_bytes=10))
    texts = list(_texts(tmp_path / "share", "train"))
    assert make_module("a1") in texts, "the tests of a project come last"
    assert make_module("a2") not in texts


def test_a_given_tokenizer_is_used(index: Path, tmp_path: Path):
    build_corpus(_options(index, tmp_path / "one"))
    tokenizer = tmp_path / "one" / "tokenizer.json"
    meta = build_corpus(_options(index, tmp_path / "two", tokenizer=tokenizer, vocab_size=9999))
    assert (tmp_path / "two" / "tokenizer.json").read_bytes() == tokenizer.read_bytes()
    assert meta.vocab_size == 340
    with pytest.raises(TokenizerError, match="cannot read the tokenizer"):
        build_corpus(_options(index, tmp_path / "three", tokenizer=tmp_path / "none.json"))


def test_no_package_samples_the_tokenizer_alone():
    documents = [Document(b"", project, f"{n}.py", 0, 0, 60_000) for n in range(5) for project in ("a", "b")]
    assert [(document.project, document.path) for document in fair_sample(documents)] == [
        ("a", "0.py"), ("b", "0.py"), ("a", "1.py"), ("b", "1.py")]  # fmt: skip


def test_an_empty_folder_is_named(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"no wheel, source distribution or project folder in .*empty"):
        build_corpus(BuildOptions(folders=[tmp_path / "empty"], out=tmp_path / "out"))


def test_nothing_left_is_said_with_the_reason(tmp_path: Path, make_wheel):
    make_wheel("omega", licence="GPL-3.0-only")
    with pytest.raises(CorpusError, match=r"no training file is left .*licence expression is not permissive"):
        build_corpus(BuildOptions(folders=[tmp_path / "index"], out=tmp_path / "out"))


def test_an_output_that_cannot_be_written_is_named(index: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CorpusError, match=r"cannot write the corpus to .*file.out: Not a directory"):
        build_corpus(_options(index, tmp_path / "file" / "out"))


def test_a_full_disk_is_not_taken_for_a_bad_archive(index: Path, tmp_path: Path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packages, "_files", full)
    with pytest.raises(CorpusError, match="No space left on device"):
        build_corpus(_options(index, tmp_path / "out"))


def test_a_folder_without_shards_is_named(tmp_path: Path, index: Path):
    build_corpus(_options(index, tmp_path / "out"))
    tokenizer = Tokenizer.load(tmp_path / "out" / "tokenizer.json")
    with pytest.raises(CorpusError, match="holds no train shards"):
        list(shard_texts(tmp_path, "train", tokenizer))


def test_a_checkout_is_a_source_and_its_licence_is_asked_for(index: Path, make_module, tmp_path: Path):
    for name, licence in (("zeta", "MIT"), ("theta", "GPL-3.0-or-later")):
        (index / name / "src").mkdir(parents=True)
        (index / name / "setup.py").write_text(f'setup(name="{name}", version="3.1", license="{licence}")\n')
        (index / name / "LICENSE").write_text(
            "Permission is hereby granted, free of charge, to any person obtaining a copy of\n"
        )
        (index / name / "src" / "core.py").write_text(make_module(name))
    out = tmp_path / "out"
    build_corpus(_options(index, out))
    manifest = json.loads((out / "manifest.json").read_text())
    used = {item["name"]: (item["version"], item["licence"]) for item in manifest["packages"]}
    assert used["zeta"] == ("3.1", "MIT")
    assert "theta" not in used
    (index / "zeta" / "src" / "core.py").write_text(make_module("zeta anew"))
    build_corpus(_options(index, out))
    assert make_module("zeta anew") in list(_texts(out, "train"))


def test_a_wrong_vocabulary_is_named_before_anything_is_read(index: Path, tmp_path: Path):
    with pytest.raises(TokenizerError, match="a vocabulary of 100 is not possible"):
        build_corpus(_options(index, tmp_path / "out", vocab_size=100))
    assert not (tmp_path / "out").exists()
