"""The user's settings: few, flat, frozen; and the rule what a project may not set.

Source: DESIGN of trust: only the user's own environment may name an engine, a token, a certificate, a proxy, a model
path or a command. Everything that arrives over LSP (initializationOptions, workspace/configuration,
didChangeConfiguration) may come from a project's files, so such a key is named once and ignored. Left out: the
environment variables themselves (engine_client reads them).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

SECTION = "seedling"

# Compared without case, "_", "-" and ".": `engine.url`, `engineUrl` and `ENGINE_URL` are one key.
_FORBIDDEN_PREFIXES = ("engine", "model", "server", "proxy", "trace")
_ADDRESSES = {"url", "baseurl", "endpoint", "host", "port", "socket", "upstream", "upstreams", "headers"}
_CREDENTIALS = {"token", "apikey", "password", "secret", "ca", "cacert", "cacerts", "certificate", "tls"}
_COMMANDS = {"command", "commands", "cmd", "args", "arguments", "executable", "path", "binary", "python", "env"}
_FORBIDDEN_KEYS = frozenset(_ADDRESSES | _CREDENTIALS | _COMMANDS | {"interpreter", "environment"})
# What other clients put beside our keys; neither ours nor worth a word.
_FOREIGN_KEYS = frozenset({"editorInfo", "editorPluginInfo", "editorConfiguration"})


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All settings. Over the wire they are camelCase below `seedling`, for example `seedling.manualOnly`."""

    enabled: bool = True
    manual_only: bool = False
    languages: tuple[str, ...] | None = None
    """Only these languages; None means all that the model knows."""
    languages_off: tuple[str, ...] = ()
    """Languages that are switched off."""
    comments: bool = False
    """Whether ghost text comes unasked inside comments and docstrings."""
    context: Literal["project", "open", "none"] = "project"
    """Which other code may be read: the same folder's files, the workspace's imports and open documents; open documents
    only; nothing."""
    exclude: tuple[str, ...] = ()
    """Glob patterns of files that are never read, beside the built-in list of secrets."""
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.4
    """The least geometric-mean token probability at which an automatic answer is shown."""
    multi_line: bool = True
    """Whether a whole block may be offered on an empty line after a block opener."""
    max_file_bytes: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    automatic_deadline_ms: Annotated[float, msgspec.Meta(gt=0, le=60_000)] = 400
    invoked_deadline_ms: Annotated[float, msgspec.Meta(gt=0, le=60_000)] = 2_000


class ParsedSettings(msgspec.Struct, frozen=True):
    """`remarks` maps a key to the sentence about why it was ignored."""

    settings: Settings
    remarks: Mapping[str, str]


def parse_settings(*layers: Any) -> ParsedSettings:
    """The settings after `layers` (raw JSON values, later ones win), each either `{"seedling": {…}}` or flat.

    Never raises: a key that is forbidden, unknown or of the wrong type keeps its default and gets a remark.
    """
    values: dict[str, Any] = {}
    remarks: dict[str, str] = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
    for layer in layers:
        for key, value in _section(layer).items():
            if key in _FOREIGN_KEYS:
                continue
            if _forbidden(key):
                remarks[key] = (
                    f"The setting {SECTION}.{key} is ignored: a project could set it, so engines, models, tokens and "
                    "commands are chosen by environment variables only."
                )
            elif key not in fields:
                remarks[key] = f"The setting {SECTION}.{key} is unknown and ignored."
            else:
                try:
                    values[key] = msgspec.convert(value, fields[key].type)
                except msgspec.ValidationError as error:
                    remarks[key] = f"The setting {SECTION}.{key} is ignored: {str(error)[0].lower()}{str(error)[1:]}."
    return ParsedSettings(msgspec.convert(values, Settings), remarks)


def _section(layer: Any) -> Mapping[str, Any]:
    if not isinstance(layer, dict):
        return {}
    inner = layer.get(SECTION)
    return inner if isinstance(inner, dict) else {} if SECTION in layer else layer


def _forbidden(key: str) -> bool:
    plain = key.lower().replace("_", "").replace("-", "").replace(".", "")
    return plain in _FORBIDDEN_KEYS or plain.startswith(_FORBIDDEN_PREFIXES)
