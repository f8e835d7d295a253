"""Lines to be written, with the prompt of the keystroke before them: what `twin` and `llamacpp` measure.

A user waits behind a keystroke, when the cache holds what the keystroke before has left: so each task says how many of
its prompt's tokens that is, namely those that the prompt one character earlier begins with. Prompts, windows, healing
and limits are the engine's own (model/engine/prompting.py). Places: held-out lines of a shard folder, the rows of an
infilling benchmark, or this project's own source, which anyone has (and which the model was never trained on, though
it is no sample of anything). Left out: writing the lines (writers.py), scores.
"""

import argparse

import msgspec

from benchmarks.header import ROOT
from model.checkpoints.load import Checkpoint
from model.engine import api
from model.engine.prompting import LineEncoder, Prepared, prepare
from model.evaluation.block_set import LIST_FILE, find_places, read_list
from model.evaluation.decode import Place, place_prompt
from model.evaluation.heldout_places import heldout_documents, line_places
from model.evaluation.infill_data import Infill, InfillSet, read_infill
from model.evaluation.options import EvalError

SEED = 0


class Task(msgspec.Struct, frozen=True):
    """One line to write. `num_warm`: tokens of the prompt whose rows the keystroke before has left in the cache."""

    request: api.DenoiseRequest
    prepared: Prepared
    num_warm: int
    guess_ids: tuple[int, ...] = ()


class Line(msgspec.Struct, frozen=True):
    """What was written: ids without what the stop rule dropped, and all passes it took, the first included."""

    ids: tuple[int, ...]
    text: str
    forwards: int


def line_set(args: argparse.Namespace) -> InfillSet:
    """The places that the arguments name. EvalError with a sentence where there are none."""
    if args.data is not None:
        if not args.data.is_file():
            raise EvalError(f"there is no file {args.data}")
        data = read_infill(args.data, args.limit)
        return InfillSet(f"{data.what} of {args.data.name}", data.rows, data.stop, False)
    documents = list(heldout_documents(args.shards)) if args.shards is not None else own_documents()
    places = line_places(documents, kind="rest", num=args.limit, seed=SEED)
    if not places:
        raise EvalError(f"{args.shards} has no line of code to test on")
    what = f"rest of held-out lines of {args.shards.name}" if args.shards else "rest of lines of this project's source"
    return InfillSet(what, tuple(Infill(place, is_line=True, tests="") for place in places), "line", False)


def block_places(args: argparse.Namespace) -> InfillSet:
    """Places of the BLOCK set, 32 to 128 tokens long, spread over the list. EvalError where their documents are not."""
    if args.shards is None:
        raise EvalError("the long places are in held-out documents: name their shards with --shards")
    places = find_places(read_list(LIST_FILE), list(heldout_documents(args.shards)), limit=args.limit).places
    rows = tuple(Infill(place, is_line=False, tests="") for place in places)
    return InfillSet(
        f"stretches of 32 to 128 tokens of {args.shards.name}, as many tokens as there were", rows, "eom", False
    )


def own_documents() -> list[tuple[str, str]]:
    """(path, text) of this project's Python files."""
    files = sorted([*(ROOT / "model").rglob("*.py"), *(ROOT / "lsp_server").rglob("*.py")])
    return [(file.relative_to(ROOT).as_posix(), file.read_text("utf-8")) for file in files]


class Preparer:
    """Requests to tasks; keeps one line encoder, as the engine does."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.encoder = LineEncoder(checkpoint.tokenizer)
        self._checkpoint = checkpoint

    def place_task(self, place: Place, stop: api.StopRule) -> Task:
        """A place where the cache holds the prompt of one character earlier."""
        request = _request(place, stop)
        prepared = self.prepare(request)
        if not place.before:
            return Task(request, prepared, 0)
        earlier = self.prepare(_request(msgspec.structs.replace(place, before=place.before[:-1]), stop))
        return Task(request, prepared, num_common(earlier.prompt_ids, prepared.prompt_ids))

    def block_task(self, place: Place) -> Task:
        """A long place, with room for as many tokens as the true text has. The cache holds its prompt but the last
        token: such a place begins a line, whose prompt the engine is sent ahead."""
        hole = api.Masked(max_tokens=max(1, len(self.encoder(place.gold))))
        request = msgspec.structs.replace(_request(place, "eom"), canvas=(hole,))
        prepared = self.prepare(request)
        return Task(request, prepared, len(prepared.prompt_ids) - 1)

    def prepare(self, request: api.DenoiseRequest) -> Prepared:
        return prepare(request, self._checkpoint.preset, self._checkpoint.tokenizer, self.encoder)


def num_common(a: list[int], b: list[int]) -> int:
    """The number of equal ids at the beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _request(place: Place, stop: api.StopRule) -> api.DenoiseRequest:
    return api.DenoiseRequest(id="benchmark", prompt=place_prompt(place), canvas=(api.Masked(),), stop=stop)
