"""What code of other places brings: snippets in the prompt, and a similar line of the document as a first guess.

Held-out lines, their projects on disk as a user has them. Snippets are what the server gathers
(lsp_server/context/gather.py) from the rest of the document, the files that it imports and those in its folder; the
guess is the server's own (lsp_server/features/similar_line.py). Every way proposes at the same places, and is compared
with the plain prompt place by place. "rest" and "new" are the places of the gate's benchmark in finished files, where
the lines below the cursor may hold what somebody who writes them has yet to write. "typed" is nearer to how users meet
it: the file ends at the cursor, inside a line; the snippets were chosen in the last pause, none to four lines above;
five other files of the project are open, each with the place that was looked at in it.
`python -m benchmarks.context --shards DIR [--limit N]` prints a table, then one line of JSON.

Left out: models with a longer context.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec

from benchmarks.gate import PLACES, TYPED_SEED, places_of, typed_up_to
from benchmarks.header import print_header
from benchmarks.options import line_arguments, rounded, run
from model.evaluation.metrics import edit_similarity, paired_bootstrap
from model.evaluation.options import EvalError, load_model, watched

if TYPE_CHECKING:
    from lsp_server.context.budget import Budget
    from lsp_server.context.files import ProjectFiles
    from lsp_server.context.reach import Reach
    from model.engine import api
    from model.evaluation.decode import Place

FOLDER = "file:///project"  # that of proposals.py
TYPED = "typed"
MAX_LINES_SINCE_PAUSE = 4
NUM_VISITED = 5


class Question(msgspec.Struct, frozen=True):
    """`chosen_at`: where the cursor was when the snippets were chosen. `visited`: (path, text, row looked at) of files
    that are open.
    """

    kind: str
    place: "Place"
    chosen_at: "Place"
    visited: tuple[tuple[str, str, int], ...] = ()


class Written(msgspec.Struct, frozen=True):
    """One proposal's scores. `similarity`: of its text and what is missing, 0 to 1; `has_more`: whether this way had a
    snippet or a guess to offer there.
    """

    is_right: bool
    similarity: float
    forwards: int
    has_more: bool


def main() -> None:
    parser = line_arguments("context", __doc__ or "")
    parser.set_defaults(limit=300)
    args = parser.parse_args()
    if args.shards is None:
        raise EvalError("this needs projects that were never trained on: name their shards with --shards DIR")
    checkpoint = load_model(args)  # before anything imports torch
    from benchmarks.proposals import Proposer
    from lsp_server.context.budget import snippet_budget
    from lsp_server.context.files import ProjectFiles
    from lsp_server.context.reach import Reach
    from model.checkpoints.load import default_checkpoint
    from model.engine.abilities import capabilities_of
    from model.evaluation.heldout_places import heldout_documents

    documents = list(heldout_documents(args.shards))
    finished = [
        Question(kind, place, place) for group, kind, _, place in places_of(documents, args.limit) if group == PLACES
    ]
    questions = [*finished, *typed_questions(documents, args.limit)]
    proposer = Proposer(checkpoint, args.model or default_checkpoint())
    budget = snippet_budget(capabilities_of(checkpoint.preset, "cpu"))
    written: dict[str, list[Written]] = {}
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        write_projects(documents, Path(folder))
        files, reach = ProjectFiles(folder), Reach()
        for way, (budget_of_way, guesses) in ways(budget).items():
            written[way] = []
            for question in watched(questions, way):
                place = question.place
                snippets = () if budget_of_way is None else snippets_at(question, budget_of_way, files, reach)
                proposal = proposer.propose(place, snippets=snippets, guesses=guesses)
                written[way].append(
                    Written(
                        is_right=proposal.is_exact,
                        similarity=edit_similarity(proposal.text.strip(), place.gold.strip()),
                        forwards=proposal.forwards,
                        has_more=bool(snippets) or proposal.is_guessed,
                    )
                )
    print_header("context")
    print(f"# {checkpoint.preset.name}, {len(questions)} places")
    kinds = [question.kind for question in questions]
    result: dict = {}
    for part in (slice(0, len(finished)), slice(len(finished), None)):
        result |= report({way: everywhere[part] for way, everywhere in written.items()}, kinds[part])
    print(json.dumps(rounded(result)))


def ways(budget: "Budget") -> dict[str, tuple["Budget | None", bool]]:
    """(budget of the snippets, whether lines are guessed) by name; the first is what the others are compared with."""
    return {
        "plain": (None, False),
        "snippets": (budget, False),
        "snippets, twice": (scaled(budget, 2.0), False),
        "guess": (None, True),
        "snippets and guess": (budget, True),
    }


def scaled(budget: "Budget", factor: float) -> "Budget":
    """The budget with so many times the characters for all snippets, and no more of them or longer ones."""
    total_chars = int(budget.total_chars * factor)
    return msgspec.structs.replace(
        budget, total_chars=total_chars, snippet_chars=min(total_chars, int(budget.snippet_chars * max(1.0, factor)))
    )


def typed_questions(documents: Sequence[tuple[str, str]], num: int) -> Iterator[Question]:
    """At most `num` keystrokes, one a line, in files that end at the cursor."""
    from model.evaluation.heldout_places import line_places

    for place in line_places(documents, kind="whole", num=num, seed=TYPED_SEED):
        rng = Random(f"{place.path}/{len(place.before)}")
        indent = len(place.gold) - len(place.gold.lstrip())
        typed = typed_up_to(msgspec.structs.replace(place, after=""), rng.randrange(indent, len(place.gold.rstrip())))
        above = typed.before.split("\n")
        num_lines = max(1, len(above) - rng.randint(0, MAX_LINES_SINCE_PAUSE))
        pause = msgspec.structs.replace(typed, before="\n".join(above[:num_lines]))
        project = place.path.partition("/")[0]
        others = sorted(one for one in documents if one[0] != place.path and one[0].partition("/")[0] == project)
        visited = rng.sample(others, min(NUM_VISITED, len(others)))
        yield Question(
            TYPED, typed, pause, tuple((path, text, rng.randrange(text.count("\n") + 1)) for path, text in visited)
        )


def snippets_at(
    question: Question, budget: "Budget", files: "ProjectFiles", reach: "Reach"
) -> tuple["api.Snippet", ...]:
    """What the server would gather with the question's documents open."""
    from benchmarks.proposals import snapshot_at
    from lsp_server.context.gather import gather
    from lsp_server.context.ring import chunk_around
    from lsp_server.context.scene import Scene
    from lsp_server.snapshot import open_document

    visited = [(open_document(f"{FOLDER}/{path}", "python", 1, text), row) for path, text, row in question.visited]
    chunks = (chunk_around(document, row) for document, row in visited)
    scene = Scene(
        snapshot=snapshot_at(question.chosen_at),
        budget=budget,
        documents=tuple(document for document, _ in visited),
        ring=tuple(chunk for chunk in chunks if chunk is not None),
        folders=(FOLDER,),
    )
    return gather(scene, files, reach)


def write_projects(documents: Sequence[tuple[str, str]], folder: Path) -> None:
    """The held-out files as they stood in their packages."""
    for path, text in documents:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def report(written: dict[str, list[Written]], kinds: Sequence[str]) -> dict:
    """Prints a table for each kind of place and for all; gives what stands in it. Differences have 95 % intervals."""
    result: dict = {}
    plain = next(iter(written.values()))
    each = tuple(dict.fromkeys(kinds))
    for kind in (*each, "all") if len(each) > 1 else each:
        rows = [index for index, of in enumerate(kinds) if kind in (of, "all")]
        print(f"{kind}: {len(rows)} places")
        print(f"  {'':20}{'at':>6}{'right':>8}{'more than plain':>26}{'similarity':>12}{'forwards':>10}{'fewer':>24}")
        for way, everywhere in written.items():
            here, there = [everywhere[row] for row in rows], [plain[row] for row in rows]
            result[f"{kind}, {way}"] = _compared(way, here, there)
    return result


def _compared(way: str, here: Sequence[Written], plain: Sequence[Written]) -> dict:
    def mean(value: Callable[[Written], float]) -> float:
        return sum(map(value, here)) / len(here)

    def difference(value: Callable[[Written], float]) -> tuple[float, float, float]:
        return paired_bootstrap([value(one) for one in here], [value(one) for one in plain])

    right, forwards = difference(lambda one: one.is_right), difference(lambda one: one.forwards)
    figures = {
        "share": mean(lambda one: one.has_more),
        "right": mean(lambda one: one.is_right),
        "right_difference": right,
        "similarity": mean(lambda one: one.similarity),
        "forwards": mean(lambda one: one.forwards),
        "forwards_difference": forwards,
    }
    points = "{:+.1%} ({:+.1%} to {:+.1%})".format(*right)
    passes = "{:+.2f} ({:+.2f} to {:+.2f})".format(*forwards)
    print(
        f"  {way:20}{figures['share']:6.0%}{figures['right']:8.1%}{points:>26}"
        f"{figures['similarity']:12.3f}{figures['forwards']:10.2f}{passes:>24}"
    )
    return figures


if __name__ == "__main__":
    sys.exit(run(main))
