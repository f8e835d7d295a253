"""The border as a JSON schema, for other clients and for the test that guards it.

Source: msgspec's schema generation over model/engine/api.py. `schema.json` beside this file is `schema_json()` as
committed; after a deliberate change raise `API_VERSION` and write it anew:
`python -c "from model.engine.schema import *; SCHEMA_FILE.write_text(schema_json())"`.
Left out: docstrings, so that better words are no new version.
"""

import json
from pathlib import Path

import msgspec

from model.engine import api

SCHEMA_FILE = Path(__file__).with_name("schema.json")


def schema_json() -> str:
    """All structs of the border, sorted and indented."""
    types = [
        api.DenoiseRequest,
        api.Event,
        api.RepairRequest,
        api.RepairEvent,
        api.CancelRequest,
        api.Capabilities,
        api.Health,
    ]
    references, components = msgspec.json.schema_components(types, ref_template="#/components/{name}")
    names = ("DenoiseRequest", "Event", "RepairRequest", "RepairEvent", "CancelRequest", "Capabilities", "Health")
    schema = {"api": api.API_VERSION, **dict(zip(names, references, strict=True)), "components": components}
    return json.dumps(_without_descriptions(schema), indent=2, sort_keys=True) + "\n"


def _without_descriptions(value: object) -> object:
    if isinstance(value, dict):
        # A string is a docstring; a dict under this key would be a field of that name.
        return {k: _without_descriptions(v) for k, v in value.items() if k != "description" or not isinstance(v, str)}
    if isinstance(value, list | tuple):
        return [_without_descriptions(item) for item in value]
    return value
