"""The fit on toy shards: what it practises on, and thresholds that hold where they were chosen."""

import json

import numpy as np
import pytest

from model.lines import lines_of
from model.mending import calibrate as calibrating
from model.mending.calibrate import calibrate, calibration_documents
from model.mending.practice import exercises
from model.mending.study import FEATURES
from model.training.shards import Shards, open_shards
from tests.model.mending.conftest import TEXT


@pytest.fixture
def shards(tmp_path, tokenizer) -> dict[str, Shards]:
    """Ten files a split; the held-out ones are of a calibration project and of another."""
    merges = json.loads((tmp_path_of(tokenizer, tmp_path)).read_text("utf-8"))
    assert merges["model"]["type"] == "BPE"
    opened = {}
    for split in ("train", "heldout"):
        texts = [TEXT.replace("Basket", f"Box{number}").replace("total", f"sum{number}") for number in range(10)]
        ids = [[i for line in lines_of(text) for i in tokenizer.encode(line)] for text in texts]
        np.array([i for document in ids for i in document], np.uint16).tofile(tmp_path / f"{split}.bin")
        np.save(tmp_path / f"{split}.idx.npy", np.cumsum([0, *map(len, ids)]).astype(np.int64))
        names = ["toy"] * 10 if split == "train" else ["click"] * 6 + ["flask"] * 4
        (tmp_path / f"{split}.paths.txt").write_text("".join(f"{name}/f{n}.py\n" for n, name in enumerate(names)))
    (tmp_path / "meta.json").write_text(json.dumps({"vocab_size": tokenizer.vocab_size}))
    for split in ("train", "heldout"):
        opened[split] = open_shards(tmp_path, split)
    return opened


def tmp_path_of(tokenizer, folder):
    """Writes the tokenizer's file into a folder."""
    path = folder / "tokenizer.json"
    path.write_text(tokenizer._backend.to_str(), "utf-8")
    return path


def test_exercises_are_damaged_in_one_line(shards) -> None:
    found = exercises(shards["train"], num=30, seed=0)
    assert found == exercises(shards["train"], num=30, seed=0)
    assert len(found) == 30
    assert sum(exercise.is_damaged for exercise in found) == 23
    originals = {shards["train"].tokenizer.decode(shards["train"].document(i).tolist()) for i in range(10)}
    for exercise in found:
        lines = lines_of(exercise.text)
        indent = len(lines[exercise.row]) - len(lines[exercise.row].lstrip())
        assert indent == len(exercise.wanted) - len(exercise.wanted.lstrip())
        lines[exercise.row] = exercise.wanted
        assert "".join(lines) in originals


def test_a_calibration_reaches_what_it_promises(reader, shards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "NUM_EXERCISES", 12)
    monkeypatch.setattr(calibrating, "NUM_NAMED", 8)
    said: list[str] = []
    documents = calibration_documents(shards["heldout"])
    assert {path.split("/")[0] for path, _ in documents} == {"click"}
    reached = calibrate(reader, shards["train"], documents[:2], said.append)
    calibration = reached.calibration
    assert tuple(calibration.weights) == FEATURES
    assert calibration.fits
    assert calibration.mend_threshold is not None
    assert calibration.mend_threshold >= calibration.fix_threshold
    assert float(calibration.fitted_on["sound_lines"]) > 20
    assert said
    assert len(reached.lines) == 3
    # The weights have learned something of what they were fitted on.
    assert any(weight != 0.0 for weight in calibration.weights.values())


def test_without_text_there_is_a_sentence(reader, shards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "NUM_EXERCISES", 3)
    with pytest.raises(ValueError, match="holds no code of attr"):
        calibrate(reader, shards["train"], [], lambda line: None)
