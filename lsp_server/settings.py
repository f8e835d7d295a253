"""The user's settings: few, flat, frozen; how they are read from JSON or TOML, and which value is the stricter one.

Three layers may set them: the user's own file (user_settings.py), the editor over LSP, and a project's file, which may
only restrict (project_settings.py). What arrives over LSP (initializationOptions, workspace/configuration,
didChangeConfiguration) may come from a project too, so an engine, a token, a certificate, a proxy, a model path or a
command there is named once and ignored. Left out: the environment variables (engine_client reads them).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec

SECTION = "seedling"

# Compared without case, "_", "-" and ".": `engine.url`, `engineUrl` and `ENGINE_URL` are one key.
_FORBIDDEN_PREFIXES = ("engine", "model", "server", "proxy", "trace")
_ADDRESSES = {"url", "baseurl", "endpoint", "host", "port", "socket", "upstream", "upstreams", "headers"}
_CREDENTIALS = {"token", "apikey", "password", "secret", "ca", "cacert", "cacerts", "certificate", "tls"}
_COMMANDS = {"command", "commands", "cmd", "args", "arguments", "executable", "path", "binary", "python", "env"}
_FORBIDDEN_KEYS = frozenset(_ADDRESSES | _CREDENTIALS | _COMMANDS | {"interpreter", "environment"})
# What clients put beside our keys and is no setting: an ability of ours (handlers/canvas_frames.py), or foreign.
_FOREIGN_KEYS = frozenset({"preview", "editorInfo", "editorPluginInfo", "editorConfiguration"})

_OWN_ONLY = (
    "is ignored: a project could set it, so engines, models, tokens and commands are chosen by environment variables "
    "and your own settings file only."
)


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All settings. Over the wire they are camelCase below `seedling`, for example `seedling.manualOnly`."""

    enabled: bool = True
    """Whether anything is completed at all."""
    manual_only: bool = False
    """Ghost text only when it is asked for."""
    languages: tuple[str, ...] | None = None
    """Only these languages; unset means all that the model knows."""
    languages_off: tuple[str, ...] = ()
    """Languages that are switched off."""
    comments: bool = False
    """Whether ghost text comes unasked inside comments and docstrings."""
    context: Literal["project", "open", "none"] = "project"
    """Which other code may be read: the same folder's files, the workspace's imports and open documents (`project`);
    open documents only (`open`); nothing (`none`)."""
    exclude: tuple[str, ...] = ()
    """Glob patterns of files that are never read, beside the built-in list of secrets; a leading `/` means the top of
    the workspace folder."""
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.15
    """The least probability, by the model's own reckoning, of being right at which an answer is shown unasked."""
    multi_line: bool = True
    """Whether a whole block may be offered on an empty line after a block opener."""
    max_file_bytes: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    """Larger files are left alone."""
    automatic_deadline_ms: Annotated[float, msgspec.Meta(gt=0, le=60_000)] = 400
    """When an unfinished answer that nobody asked for is cut off."""
    invoked_deadline_ms: Annotated[float, msgspec.Meta(gt=0, le=60_000)] = 2_000
    """When an unfinished answer that was asked for by hand is cut off."""
    fix_enable: bool = msgspec.field(default=True, name="fix.enable")
    """Whether repairs are offered, as quick fixes, where a diagnostic or a syntax error stands."""
    mend_enable: bool = msgspec.field(default=False, name="mend.enable")
    """Whether documents are looked through for mistakes in pauses, and what is found is shown as hints."""
    rewrite_enable: bool = msgspec.field(default=True, name="rewrite.enable")
    """Whether rewriting what is selected is offered."""
    next_edit_enable: bool = msgspec.field(default=False, name="nextEdit.enable")
    """Whether the follow-up of your last changes is offered, elsewhere in the same document."""


FIELDS: Mapping[str, msgspec.structs.FieldInfo] = {field.name: field for field in msgspec.structs.fields(Settings)}


class ParsedSettings(msgspec.Struct, frozen=True):
    """`remarks` maps a key to the sentence about why it was ignored."""

    settings: Settings
    remarks: Mapping[str, str]


class ReadValues(msgspec.Struct, frozen=True):
    """One layer: values by field name, all of the right type; and the remarks about the other keys."""

    values: Mapping[str, Any] = {}
    remarks: Mapping[str, str] = {}


def parse_settings(*layers: Any, user: Mapping[str, Any] | None = None) -> ParsedSettings:
    """The settings after the editor's `layers` (raw JSON values, later ones win) and the values of the user's file.

    Never raises: a key that is forbidden, unknown or of the wrong type keeps its default and gets a remark.
    """
    values: dict[str, Any] = {}
    remarks: dict[str, str] = {}
    for layer in layers:
        read = read_values(section_of(layer), "The setting seedling.{key}", refuse=_refuse_foreign_hands)
        values.update(read.values)
        remarks.update(read.remarks)
    return ParsedSettings(Settings(**_with_users(values, user or {})), remarks)


# Off unless somebody wants it, so an editor's default must not take back what the user's file says; and a number.
_USERS_WORD_COUNTS = ("comments", "confidence", "mend_enable", "next_edit_enable")


def _with_users(editor: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    """The user's file wins: VS Code sends every setting, with its default where nobody has set one.

    But what is switched off, excluded or narrowed in either place is so, or a switch in the editor would do nothing.
    """
    merged = dict(editor)
    for name, value in user.items():
        strict = name in editor and name not in _USERS_WORD_COUNTS and STRICTER.get(name)
        merged[name] = strict(editor[name], value) if strict else value
    return merged


def _joined(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one + other))


_NARROWEST_FIRST = ("none", "open", "project")

# What a project may set: the stricter of two values counts, whoever gave it.
STRICTER: Mapping[str, Callable[[Any, Any], Any]] = {
    "enabled": lambda one, other: one and other,
    "manual_only": lambda one, other: one or other,
    "languages_off": _joined,
    "comments": lambda one, other: one and other,
    "context": lambda one, other: min(one, other, key=_NARROWEST_FIRST.index),
    "exclude": _joined,
    "confidence": max,
    "fix_enable": lambda one, other: one and other,
    "mend_enable": lambda one, other: one and other,
    "rewrite_enable": lambda one, other: one and other,
    "next_edit_enable": lambda one, other: one and other,
}


def read_values(
    section: Mapping[str, Any],
    naming: str,
    *,
    refuse: Callable[[str], str | None],
    more: Mapping[str, Any] | None = None,
) -> ReadValues:
    """The settings in `section`, in camelCase or snake_case.

    naming: how a remark names a key, with `{key}` in it. refuse: why a key may not be set here, or None. more: further
    keys of this layer and their types.
    """
    types = {name: field.type for name, field in FIELDS.items()} | dict(more or {})
    names = {spelling: field.name for field in FIELDS.values() for spelling in _spellings(field)}
    names |= {name: name for name in types}
    values: dict[str, Any] = {}
    remarks: dict[str, str] = {}
    for key, value in _flat(section, names):
        if key in _FOREIGN_KEYS:
            continue
        subject = naming.format(key=key)
        refusal = refuse(key)
        if refusal is not None:
            remarks[key] = f"{subject} {refusal}"
        elif key not in names:
            remarks[key] = f"{subject} is unknown and ignored{_nearest(key, names)}."
        else:
            try:
                values[names[key]] = msgspec.convert(value, types[names[key]])
            except msgspec.ValidationError as error:
                remarks[key] = f"{subject} is ignored: {str(error)[0].lower()}{str(error)[1:]}."
    return ReadValues(values, remarks)


def _spellings(field: msgspec.structs.FieldInfo) -> tuple[str, ...]:
    """`nextEdit.enable` is `next_edit.enable` too; all others have a camelCase and a snake_case spelling."""
    group, _, last = field.name.rpartition("_")
    return (field.encode_name, field.name, *([f"{group}.{last}"] if "." in field.encode_name else []))


def _flat(section: Mapping[str, Any], names: Iterable[str]) -> Iterable[tuple[str, Any]]:
    """The keys and values, those of a table that groups settings (`[nextEdit]`) by their whole names."""
    groups = {name.partition(".")[0] for name in names if "." in name}
    for key, value in section.items():
        if key in groups and isinstance(value, dict):
            yield from ((f"{key}.{inner}", one) for inner, one in value.items())
        else:
            yield key, value


def field_name(key: str) -> str | None:
    """The name of the field that `key` sets, in either spelling."""
    return next((name for name, field in FIELDS.items() if key in _spellings(field)), None)


def _nearest(key: str, known: Iterable[str]) -> str:
    import difflib  # only where somebody has mistyped

    by_plain_name = {_plain(name): name for name in known if "_" not in name or "_" in key}
    close = difflib.get_close_matches(_plain(key), by_plain_name, 1)
    return f" (the nearest is {by_plain_name[close[0]]})" if close else ""


def section_of(layer: Any) -> Mapping[str, Any]:
    """The settings in a JSON or TOML value: those below `seedling` if it has that, else the whole."""
    if not isinstance(layer, dict):
        return {}
    inner = layer.get(SECTION)
    return inner if isinstance(inner, dict) else {} if SECTION in layer else layer


def _refuse_foreign_hands(key: str) -> str | None:
    return _OWN_ONLY if is_forbidden(key) else None


def is_forbidden(key: str) -> bool:
    """Whether `key` looks like something that only the user's own hand may choose."""
    plain = _plain(key)
    return plain in _FORBIDDEN_KEYS or plain.startswith(_FORBIDDEN_PREFIXES)


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(".", "")
