"""What the server gathers around a held-out place: its project on disk, a few of its files open, all as in a pause.

The files that are open are drawn by the document's path, so every place of a document has the same. Left out: how old
that is by the time of a keystroke (context.py measures it).
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchmarks.context import FOLDER, NUM_VISITED, write_projects
from benchmarks.proposals import snapshot_at
from lsp_server.context.budget import snippet_budget
from lsp_server.context.files import ProjectFiles
from lsp_server.context.gather import gather_all
from lsp_server.context.line_index import LineIndex
from lsp_server.context.reach import Reach
from lsp_server.context.scene import Findings, Scene
from lsp_server.snapshot import Document, open_document
from model.engine import api
from model.evaluation.decode import Place


class Projects:
    """The held-out documents as they stood in their packages, written into an empty folder."""

    def __init__(self, documents: Sequence[tuple[str, str]], folder: Path, capabilities: api.Capabilities) -> None:
        write_projects(documents, folder)
        self._documents = sorted(documents)
        self._files, self._reach = ProjectFiles(str(folder)), Reach()
        self._budget = snippet_budget(capabilities)
        self._context_tokens = capabilities.context_tokens
        self._lines: LineIndex | None = None

    def around(self, place: Place) -> Findings:
        """What a pause with the cursor at the place finds."""
        scene = Scene(
            snapshot=snapshot_at(place),
            budget=self._budget,
            context_tokens=self._context_tokens,
            documents=self._open_beside(place.path),
            folders=(FOLDER,),
        )
        found = gather_all(scene, self._files, self._reach, self._lines)
        self._lines = found.lines
        return found

    def _open_beside(self, path: str) -> tuple[Document, ...]:
        project = path.partition("/")[0]
        others = [one for one in self._documents if one[0] != path and one[0].partition("/")[0] == project]
        chosen = Random(path).sample(others, min(NUM_VISITED, len(others)))
        return tuple(open_document(f"{FOLDER}/{name}", "python", 1, text) for name, text in chosen)
