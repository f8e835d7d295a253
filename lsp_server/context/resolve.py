"""Which files of a workspace folder an import may mean: pure functions of names, the likeliest first.

Source: each language's own search rules, as far as they follow from the file's place: Python's relative and absolute
modules (the folder, `src`, and the folders above the file are roots), relative paths of JavaScript and TypeScript,
Rust's `mod`, `crate`, `super`, `self`, Java's packages, `#include "…"`. Left out: search paths that build files set,
aliases (`@/x`), installed packages, Go (a package is its folder: neighbours).
"""

from collections.abc import Iterator
from itertools import islice
from posixpath import dirname, join, normpath, splitext

from lsp_server.context.files import is_inner_path
from model.syntax.imports import Import

MAX_CANDIDATES = 24
MAX_ROOTS = 6
_SCRIPT_SUFFIXES = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".d.ts")
_SCRIPTS = frozenset({"javascript", "javascriptreact", "typescript", "typescriptreact"})


def files_of(item: Import, path: str, language: str) -> list[str]:
    """Paths below the folder that `item` may mean in the file at `path`; whether they exist is not known here."""
    if language == "python":
        found = _python(item, path)
    elif language in _SCRIPTS:
        found = _script(item.module, path)
    elif language == "rust":
        found = _rust(item, path)
    elif language == "java":
        found = _java(item.module, path)
    elif language in ("c", "cpp"):
        found = _include(item.module, path)
    else:
        found = iter(())
    inner = (name for name in map(normpath, found) if is_inner_path(name) and name != path)
    return list(dict.fromkeys(islice(inner, MAX_CANDIDATES)))


def _roots(path: str) -> list[str]:
    """The workspace folder, its `src`, and the folders above the file, the nearest first."""
    above = []
    folder = dirname(path)
    while folder and len(above) < MAX_ROOTS:
        above.append(folder)
        folder = dirname(folder)
    return ["", "src", *above]


def _python(item: Import, path: str) -> Iterator[str]:
    name = item.module.lstrip(".")
    num_dots = len(item.module) - len(name)
    parts = name.replace(".", "/")
    if num_dots:
        base = dirname(path)
        for _ in range(num_dots - 1):
            base = dirname(base) if base else ".."
        bases = [base]
    else:
        bases = _roots(path)
    for base in bases:
        module = join(base, parts) if parts else base
        # What is imported from a package may be a module of it.
        yield from (join(module, f"{imported.name}.py") for imported in item.names[:4])
        if parts:
            yield f"{module}.py"
        yield join(module, "__init__.py")


def _script(module: str, path: str) -> Iterator[str]:
    if not module.startswith(("./", "../")) and module not in (".", ".."):
        return
    target = normpath(join(dirname(path), module))
    stem, suffix = splitext(target)
    if suffix in _SCRIPT_SUFFIXES:
        yield target
        # TypeScript writes the suffix of what it is compiled to.
        yield from (stem + other for other in _SCRIPT_SUFFIXES[:2])
    yield from (target + other for other in _SCRIPT_SUFFIXES)
    yield from (join(target, "index" + other) for other in _SCRIPT_SUFFIXES)


def _rust(item: Import, path: str) -> Iterator[str]:
    folder = dirname(path)
    stem = splitext(path)[0].rpartition("/")[2]
    own = folder if stem in ("mod", "lib", "main") else join(folder, stem)
    if item.module.startswith("mod "):
        yield from _rust_module(join(own, item.module[4:]))
        return
    first, *rest = item.module.split("::")
    base: str | None = None
    if first == "crate":
        roots = [above for above in _roots(path) if above == "src" or above.endswith("/src")]
        base = roots[-1] if roots else ""
    elif first == "self":
        base = own
    elif first == "super":
        base = dirname(own)
        while rest and rest[0] == "super":
            base, rest = dirname(base), rest[1:]
    if base is None:
        return
    # The last parts may be items of a module instead of modules.
    for count in range(len(rest), -1, -1):
        yield from _rust_module(join(base, *rest[:count]))


def _rust_module(path: str) -> Iterator[str]:
    if path:
        yield f"{path}.rs"
    yield join(path, "mod.rs")
    yield join(path, "lib.rs")


def _java(module: str, path: str) -> Iterator[str]:
    parts = module.replace(".", "/")
    # A source root is above the file; which one depends on how deep its own package is.
    yield from (f"{join(root, parts)}.java" for root in reversed(_roots(path)))


def _include(name: str, path: str) -> Iterator[str]:
    yield join(dirname(path), name)
    for root in _roots(path):
        yield join(root, name)
        yield join(root, "include", name)
