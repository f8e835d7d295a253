"""The editors' path gives the text of the evaluation's own path in fp32, and what the server refuses stays as it is."""

import argparse
from pathlib import Path

import pytest
from msgspec.structs import replace

from model.checkpoints.load import Checkpoint, save_checkpoint
from model.evaluation import syntax
from model.evaluation.decode import Decoder, Place
from model.evaluation.edit import by_decoder, packed, rewriting
from model.evaluation.edit_data import EditTask
from model.evaluation.edit_places import EditPlace
from model.evaluation.edits import task_of
from model.evaluation.fix import by_mender, mender_of
from model.evaluation.options import load_model
from model.evaluation.through_server import ServedModel, served
from model.mending.ranking import Calibration, save_calibration
from model.mending.study import FEATURES
from model.syntax.errors import first_error_row

BEFORE = "import os\n\n\ndef alpha(beta):\n"
OLD = "    gamma = beta + 1\n    return gamma\n"
AFTER = "\n\ndef omega():\n    return 'ä𝄞'\n"


def task(before: str, old: str, after: str, instruction: str = "add type hints") -> EditTask:
    place = Place(path="toy/file.py", before=before, after=after, gold=old)
    return EditTask(name="toy", place=place, old=old, instruction=instruction, tests="")


TASKS = [
    task(BEFORE, OLD, AFTER),
    task(BEFORE + "    ", "gamma = beta + 1", "\n    return gamma\n" + AFTER),
    task("", "def alpha(beta):\n    return beta", ""),
    task("x = 1\n" * 400, "y = '𝄞ä'\n", "z = 3\n" * 300),
]


@pytest.fixture(scope="module")
def args(make_network, checkpoint: Checkpoint, tokenizer_file: Path, tmp_path_factory) -> argparse.Namespace:
    """A model that knows nothing but writes what people can read: no server passes broken characters on."""
    network = make_network(checkpoint.preset.network).requires_grad_(False)
    for i, token in enumerate(checkpoint.tokenizer.token_bytes):
        if not token.isascii() or not token.decode("ascii", "replace").strip().isprintable():
            network.head_weight[i] = 0
    folder = tmp_path_factory.mktemp("readable")
    save_checkpoint(folder, network, checkpoint.preset, tokenizer_file, dtype=None)
    return argparse.Namespace(model=folder, fp32=True, threads=1, limit=None, json=False)


@pytest.fixture(scope="module")
def server(args: argparse.Namespace, checkpoint):
    with served(args, replace(checkpoint.preset, rewrite="free")) as server:
        yield server


def test_both_ways_give_the_same_text(server: ServedModel, args: argparse.Namespace) -> None:
    direct = by_decoder(Decoder(packed(rewriting(load_model(args)))))
    for one in TASKS:
        text, forwards = direct(one)
        assert server.rewritten(one) == (text, forwards)
        assert text != one.old, "noise that leaves code as it is shows nothing"


def test_what_does_not_fit_stays_as_it_is_both_ways(server: ServedModel, args: argparse.Namespace) -> None:
    long = task("", "x = [\n" + "    1234567,\n" * 200 + "]\n", "")
    assert by_decoder(Decoder(rewriting(load_model(args))))(long) == (long.old, 0)
    assert server.rewritten(long) == (long.old, 0)


def test_a_model_that_repairs_nothing_leaves_the_place_as_it_is(server: ServedModel) -> None:
    place = Place(path="toy/file.py", before=BEFORE + "    ", after="\n" + AFTER, gold="return (1)")
    assert server.repaired(place, "return (1") == ("return (1", 0)


FAULTS = [
    ("if beta", "if beta:"),
    ("for x in range(beta)", "for x in range(beta):"),
    ("while 'ä𝄞' in beta", "while 'ä𝄞' in beta:"),
    ("return beta", "return beta"),
]


def test_both_ways_give_the_same_fix(args: argparse.Namespace, tmp_path, checkpoint) -> None:
    """With a calibration by which every feature counts a little, so that the numbers of the network decide."""
    for path in args.model.iterdir():
        (tmp_path / path.name).symlink_to(path)
    weights = dict.fromkeys(FEATURES, 0.01) | {"mended": 1.0, "colon, broken": 5.0, "size": -0.1}
    likes_colons = {"fix_threshold": 1.0, "mend_threshold": None, "doubt_threshold": 1e9}
    save_calibration(tmp_path, Calibration(weights=weights, **likes_colons))
    asked = argparse.Namespace(**{**vars(args), "model": tmp_path})
    mender = mender_of(packed(load_model(asked)), asked)
    assert mender is not None
    direct = by_mender(mender)
    with served(asked, checkpoint.preset) as server:
        for draft, right in FAULTS:
            body = "" if draft.startswith("return") else "\n        return 1"
            place = Place(path="toy/file.py", before=BEFORE + "    ", after=body + AFTER, gold=right)
            assert (direct(place, draft)[0], server.repaired(place, draft)[0]) == (right, right)
        text = BEFORE + "    for x in range(beta:\n        return [beta\n" + AFTER
        row = first_error_row(text, "python")
        assert row is not None
        menu = server.quick_fixes("toy/file.py", text, row)
        assert menu == syntax.by_mender(mender)("toy/file.py", text, row)
        text = BEFORE + "    if beta\n        return 1\n" + AFTER
        menu = server.quick_fixes("toy/file.py", text, 5)
        assert menu == syntax.by_mender(mender)("toy/file.py", text, 5)
        assert menu[0] == text.replace("if beta", "if beta:")


def test_a_kind_of_edit_is_asked_for_as_a_task(server: ServedModel, args: argparse.Namespace) -> None:
    place = EditPlace("idiom", TASKS[0].place, OLD, "add type hints")
    assert server.rewritten(task_of(place)) == server.rewritten(TASKS[0])


def test_a_selection_of_nothing_is_refused(server: ServedModel) -> None:
    blank = task("x = 1\n", "\n\n", "y = 2\n")
    assert server.rewritten(blank) == (blank.old, 0)
