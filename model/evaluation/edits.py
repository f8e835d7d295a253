"""`seedling eval edits`: edits that are asked for in words, each kind with its own score.

Held-out code is made old as in training (edit_places.py); the old code is the draft, the instruction stands behind it
in the prompt, and the engine's own path writes. Every number stands beside its floor, the old code unchanged. A kind
works if at least one answer in four is exactly the text as it stands, over enough places, and if the answers are nearer
to it than the old code was (lower end of the 95 % interval); --list writes those kinds into the checkpoint's preset,
which is what an engine offers. With --through-server the question goes the editors' way (through_server.py). Source:
this project's own protocol. Left out: other wordings, other right answers.
"""

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from model.evaluation.fix import editing, percent, share
from model.evaluation.options import EvalError, add_common, load_model, report, watched
from model.lines import lines_of

if TYPE_CHECKING:
    from model.evaluation.decode import Decoder
    from model.evaluation.edit_data import EditTask
    from model.evaluation.edit_places import EditPlace

Rewrite = Callable[["EditPlace"], tuple[str, int]]
"""What becomes of the old code at a place, and the passes that took (0: it was left as it is)."""

NUM_PLACES = 40
SEED = 0
MIN_EXACT = 0.25
MIN_PLACES = 16
"""A kind with fewer places is not judged: one lucky answer would be a large share."""
Z_95 = 1.96


class KindScore(msgspec.Struct, frozen=True, kw_only=True):
    """Scores 0..1 over the places of a kind; `_floor` = of the old code unchanged (exact: always 0).

    exact_low: lower end of Wilson's 95 % interval. gain_low: of the paired interval of similarity - similarity_floor.
    unchanged: answers that are the old code. kept: answers that still have every line that old and new code share.
    refused: places that did not fit the context (they count as unchanged).
    """

    num: int
    exact: float
    exact_low: float
    similarity: float
    similarity_floor: float
    gain_low: float
    parse_rate: float
    parse_rate_floor: float
    unchanged: float
    kept: float
    refused: float
    forwards: float

    @property
    def works(self) -> bool:
        return self.num >= MIN_PLACES and self.exact >= MIN_EXACT and self.exact_low > 0 and self.gain_low > 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, what_data=None)
    parser.add_argument("--shards", type=Path, required=True, help="token shards with held-out text")
    parser.add_argument("--force-edits", action="store_true", help="edit with weights that were not trained to edit")
    parser.add_argument("--through-server", action="store_true", help="ask a language server, as an editor does")
    parser.add_argument("--list", action="store_true", help="write the kinds that work into the model's preset.json")


def run(args: argparse.Namespace) -> int:
    """Prints a table, a line a kind; 0 = done. Raises EvalError with a sentence."""
    if args.list and args.through_server:
        raise EvalError("--list writes what the engine itself does well: leave --through-server out")
    checkpoint = editing(load_model(args), force=args.force_edits)

    from model.evaluation.decode import Decoder
    from model.evaluation.edit_places import edit_places
    from model.evaluation.heldout_places import heldout_documents
    from model.training.rewrite_edits import KINDS

    # Free, so that each kind is asked for, whatever is listed so far.
    preset = msgspec.structs.replace(checkpoint.preset, rewrite="free")
    decoder = Decoder(replace(checkpoint, preset=preset))
    documents = list(heldout_documents(args.shards))
    num = args.limit or NUM_PLACES
    places = [
        place
        for kind in watched(KINDS, "kinds")
        for place in edit_places(
            documents, kind, num=num, seed=SEED, num_tokens=lambda text: len(decoder.encoder(text))
        )
    ]
    if not places:
        raise EvalError(f"the held-out text of {args.shards} has no place for any edit")
    if args.through_server:
        from model.evaluation.through_server import served

        with served(args, preset) as server:
            scores = score_places(lambda place: server.rewritten(task_of(place)), places)
    else:
        scores = score_places(by_decoder(decoder), places)
    listed = tuple(kind for kind, score in scores.items() if score.works)
    if args.list:
        write_list(args.model, listed)
    way = "server" if args.through_server else "engine"
    return report(table_of(scores), result_of(scores, preset.name) | {"way": way}, args)


def score_places(rewrite: Rewrite, places: Sequence["EditPlace"]) -> dict[str, KindScore]:
    """The scores of each kind there is, in the order of the places."""
    answers = [rewrite(place) for place in watched(places, "edits")]
    kinds = list(dict.fromkeys(place.kind for place in places))
    return {kind: _score([(p, *a) for p, a in zip(places, answers, strict=True) if p.kind == kind]) for kind in kinds}


def by_decoder(decoder: "Decoder") -> Rewrite:
    """The engine's own path without an engine; what does not fit the context stays as it is."""
    from model.engine.job import BadRequest

    def rewrite(place: "EditPlace") -> tuple[str, int]:
        try:
            answer = decoder.rewrite(place.place, place.old, place.instruction)
        except BadRequest as error:
            if error.code != "too_long":
                raise
            return place.old, 0
        return answer.text, answer.forwards

    return rewrite


def task_of(place: "EditPlace") -> "EditTask":
    """A place as a language server is asked about it."""
    from model.evaluation.edit_data import EditTask

    return EditTask(name=place.kind, place=place.place, old=place.old, instruction=place.instruction, tests="")


def _score(rows: Sequence[tuple["EditPlace", str, int]]) -> KindScore:
    from model.evaluation.metrics import edit_similarity, paired_bootstrap
    from model.syntax.python import parses

    exact = share([answer == place.place.gold for place, answer, _ in rows])
    similarities = [edit_similarity(answer, place.place.gold) for place, answer, _ in rows]
    floors = [edit_similarity(place.old, place.place.gold) for place, _, _ in rows]
    _, gain_low, _ = paired_bootstrap(similarities, floors)
    return KindScore(
        num=len(rows),
        exact=exact,
        exact_low=wilson_low(exact, len(rows)),
        similarity=sum(similarities) / len(rows),
        similarity_floor=sum(floors) / len(rows),
        gain_low=gain_low,
        parse_rate=share([parses(place.place.before + answer + place.place.after) for place, answer, _ in rows]),
        parse_rate_floor=share([parses(place.place.before + place.old + place.place.after) for place, _, _ in rows]),
        unchanged=share([answer == place.old for place, answer, _ in rows]),
        kept=share([keeps_lines(place.old, answer, place.place.gold) for place, answer, _ in rows]),
        refused=share([forwards == 0 for _, _, forwards in rows]),
        forwards=sum(forwards for _, _, forwards in rows) / len(rows),
    )


def keeps_lines(old: str, answer: str, gold: str) -> bool:
    """Whether the answer has all lines that old and new code share (as often as both have them)."""
    shared = Counter(lines_of(old)) & Counter(lines_of(gold))
    return shared <= Counter(lines_of(answer))


def wilson_low(rate: float, num: int) -> float:
    """Lower end of Wilson's 95 % score interval of a share."""
    z2 = Z_95 * Z_95
    middle = rate + z2 / (2 * num)
    width = Z_95 * math.sqrt(rate * (1 - rate) / num + z2 / (4 * num * num))
    return max(0.0, (middle - width) / (1 + z2 / num))


def write_list(folder: Path | None, listed: tuple[str, ...]) -> None:
    """Writes the kinds that work into the preset of a checkpoint folder. EvalError if it cannot be written."""
    from model.checkpoints.load import PRESET_FILE, default_checkpoint, load_preset
    from model.checkpoints.presets import encode_preset

    folder = folder or default_checkpoint()
    preset = load_preset(folder)
    preset = msgspec.structs.replace(preset, edits_listed=listed, rewrite="listed" if listed else "none")
    path = folder / PRESET_FILE
    beside = path.with_suffix(".new")
    try:
        beside.write_bytes(encode_preset(preset))
        beside.replace(path)
    except OSError as error:
        raise EvalError(f"{path} could not be written ({error})") from None


def table_of(scores: dict[str, KindScore]) -> list[tuple[str, str]]:
    num = sum(score.num for score in scores.values())
    listed = [kind for kind, score in scores.items() if score.works]
    rows = [
        ("edits", f"{num} held-out places, {len(scores)} kinds; floor = the old code unchanged (exact: 0 %)"),
        ("kinds that work", ", ".join(listed) or "none"),
        ("exact, all kinds", percent(sum(score.exact * score.num for score in scores.values()) / num)),
        ("", f"{'exact':>8}{'from':>8}{'alike':>8}{'floor':>8}{'parses':>8}{'floor':>8}{'same':>8}{'kept':>8}  places"),
    ]
    for kind, score in scores.items():
        shares = (
            score.exact,
            score.exact_low,
            score.similarity,
            score.similarity_floor,
            score.parse_rate,
            score.parse_rate_floor,
            score.unchanged,
            score.kept,
        )
        mark = ", works" if score.works else ""
        rows.append((f"  {kind}", "".join(f"{percent(value):>8}" for value in shares) + f"  {score.num}{mark}"))
    return rows


def result_of(scores: dict[str, KindScore], name: str) -> dict:
    """The numbers of --json."""
    num = sum(score.num for score in scores.values())
    return {
        "model": name,
        "data": "held-out code made old, asked for in words",
        "num": num,
        "exact": sum(score.exact * score.num for score in scores.values()) / num,
        "works": [kind for kind, score in scores.items() if score.works],
        "by_kind": {kind: msgspec.to_builtins(score) | {"works": score.works} for kind, score in scores.items()},
        "forwards_per_answer": sum(score.forwards * score.num for score in scores.values()) / num,
    }
