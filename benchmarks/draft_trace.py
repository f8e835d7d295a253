"""A typing trace with everything that may stand as a draft at each request: what `drafts` measures.

Whole lines of held-out documents are typed character by character, every other one in a file that ends at the cursor.
The engine is asked where nothing that was shown covers what is typed; what was shown is what the gate lets through. Of
a line's requests at most three are taken, evenly. Drafts at a request: the last ghost text after typing has broken it,
the line most alike in the document (200 lines) and in the files that the server has gathered. "Old" requests are lines
that are written anew where an old version stands: the true line with one fault. Left out: writing (drafts.py).
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from benchmarks.gate import typed_up_to
from benchmarks.gathered import Projects
from benchmarks.proposals import snapshot_at
from lsp_server.context.scene import Findings
from lsp_server.engine_link import EngineState
from lsp_server.features.complete import plan_completion
from lsp_server.features.guess import guess_after
from lsp_server.features.similar_line import Similar, similar_line
from lsp_server.outcome import Outcome
from lsp_server.settings import Settings
from model.engine import api
from model.evaluation.decode import Place
from model.evaluation.faults import make_faults
from model.evaluation.heldout_places import line_places

SEED = 0
REQUESTS_PER_LINE = 3
NEAR_LINES = 200
TYPED, OLD = "typed", "old code"


class Asked(msgspec.Struct, frozen=True):
    """One request of the trace; `line` = which line it belongs to. Drafts are texts that may follow the cursor, empty
    where there is none.
    """

    kind: str
    line: int
    place: Place
    request: api.DenoiseRequest
    ghost: str = ""
    file_line: str = ""
    project_line: str = ""
    old: str = ""


Write = Callable[[api.DenoiseRequest], tuple[str, bool]]
"""The model's own answer, and whether the gate shows it."""


class Trace:
    """Requests as the server makes them, with what it has gathered when a line is begun."""

    def __init__(self, projects: Projects, capabilities: api.Capabilities) -> None:
        self._projects = projects
        self._engine = EngineState(kind="ready", capabilities=capabilities)

    def typed(self, documents: Sequence[tuple[str, str]], num_lines: int, write: Write) -> Iterator[Asked]:
        """The requests of `num_lines` lines."""
        for line, place in enumerate(line_places(documents, kind="whole", num=num_lines, seed=SEED)):
            place = msgspec.structs.replace(place, after="") if line % 2 else place
            found = self._projects.around(place)
            asked = list(self._requests(line, place, found, write))
            step = max(1, -(-len(asked) // REQUESTS_PER_LINE))
            yield from asked[::step]

    def old(self, documents: Sequence[tuple[str, str]], num: int) -> Iterator[Asked]:
        """Lines that are written anew."""
        for line, fault in enumerate(make_faults(documents, num=num, seed=SEED)):
            request = self._request(fault.place, self._projects.around(fault.place))
            if request is not None:
                yield Asked(OLD, line, fault.place, request, old=fault.draft + "\n")

    def _requests(self, line: int, whole: Place, found: Findings, write: Write) -> Iterator[Asked]:
        indent = len(whole.gold) - len(whole.gold.lstrip())
        shown: tuple[int, str] | None = None  # where the newest ghost text came, and what it said
        for column in range(indent, len(whole.gold.rstrip())):
            typed = "" if shown is None else whole.gold[shown[0] : column]
            if shown is not None and shown[1].startswith(typed) and len(shown[1]) > len(typed):
                continue
            place = typed_up_to(whole, column)
            request = self._request(place, found)
            if request is None:
                continue
            snapshot = snapshot_at(place)
            yield Asked(
                TYPED,
                line,
                place,
                request,
                ghost="" if shown is None else guess_after(typed, shown[1]),
                file_line=_rest(similar_line(snapshot_at(_near(place)))),
                project_line=_rest(similar_line(snapshot, found.lines)),
            )
            text, is_shown = write(request)
            if is_shown:
                shown = column, text

    def _request(self, place: Place, found: Findings) -> api.DenoiseRequest | None:
        """The server's own, without its guess; None where it asks nothing."""
        planned = plan_completion(snapshot_at(place), Settings(), self._engine, "drafts", found.snippets)
        if isinstance(planned, Outcome):
            return None
        return msgspec.structs.replace(planned.request, canvas=(api.Masked(),))


def _near(place: Place) -> Place:
    """The lines around the place alone."""
    above = place.before.split("\n")[-NEAR_LINES // 2 :]
    below = place.after.split("\n")[: NEAR_LINES // 2]
    return msgspec.structs.replace(place, before="\n".join(above), after="\n".join(below))


def _rest(similar: Similar | None) -> str:
    """What the server would guess."""
    return similar.rest if similar is not None and similar.is_likely else ""
