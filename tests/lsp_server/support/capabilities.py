"""What a model can do, for tests: lines and blocks of Python, unless a test says otherwise."""

from typing import Any

import msgspec

from model.engine import api

_USUAL = api.Capabilities(
    api=api.API_VERSION,
    model="m",
    device="none",
    languages=("python",),
    complete=("line", "block"),
    rewrite="none",
    fix=False,
    mend=False,
    next_edit=False,
    context_tokens=1024,
)


def capabilities(**changes: Any) -> api.Capabilities:
    """Those of a usual model, with changes."""
    return msgspec.structs.replace(_USUAL, **changes)
