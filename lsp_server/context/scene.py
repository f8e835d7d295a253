"""What a gathering of context may look at, taken on the loop thread and read in another, and what it finds.

Left out: collecting and choosing (texts.py, gather.py), which need the grammars; this file needs nothing heavy.
"""

import msgspec

from lsp_server.context.budget import Budget
from lsp_server.context.line_index import LineIndex
from lsp_server.context.ring import Chunk
from lsp_server.settings import Settings
from lsp_server.snapshot import Document, Snapshot
from model.engine import api


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a gathering may look at. `documents` are the other open ones, the last used first; `context_tokens` tells
    which window of its own document the prompt holds."""

    snapshot: Snapshot
    budget: Budget
    context_tokens: int = 512
    documents: tuple[Document, ...] = ()
    ring: tuple[Chunk, ...] = ()
    folders: tuple[str, ...] = ()
    settings: Settings = Settings()


class Findings(msgspec.Struct, frozen=True):
    """What a gathering found: snippets for the prompt, and the lines of all texts but the document's own."""

    snippets: tuple[api.Snippet, ...] = ()
    lines: LineIndex | None = None
