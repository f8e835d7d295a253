"""Imports go one way: lsp_server → {model.engine.api, model.syntax}, model → kernels → torch.

Read from the source, so imports inside functions count too.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("lsp_server", "model", "kernels")

# Within `model`, what stands above may import what stands below, never the other way round.
LOW = ("network", "prompts", "diffusion", "syntax", "tokenizer")
HIGH = ("cli", "engine", "evaluation", "training", "checkpoints")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Every module that a file imports: its dotted name, the line, and whether it stands inside a function.

    `from a import b` counts as both `a` and `a.b`, since `b` may be a module.
    """
    tree = ast.parse(path.read_text("utf-8"), str(path))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = path.relative_to(ROOT).with_suffix("").parts[: -node.level]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base, node.lineno, id(node) in inside
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno, id(node) in inside


def lies_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def places(package: str, is_wrong: object) -> list[str]:
    assert callable(is_wrong)
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(package)
        for name, line, inside in imported(path)
        if is_wrong(path, name, inside)
    ]


def test_the_packages_are_found() -> None:
    assert all(len(modules(package)) > 3 for package in OURS)


def test_lsp_server_knows_only_the_border_and_the_syntax_of_model() -> None:
    def wrong(path: Path, name: str, inside: bool) -> bool:
        if path == ROOT / "lsp_server" / "cli.py" and lies_in(name, "model.cli"):
            return not inside
        return lies_in(name, "model") and name not in ("model", "model.engine") and not is_border(name)

    def is_border(name: str) -> bool:
        return lies_in(name, "model.engine.api", "model.syntax")

    assert places("lsp_server", wrong) == []


def test_lsp_server_imports_neither_torch_nor_what_brings_it() -> None:
    assert (
        places(
            "lsp_server",
            lambda _path, name, _inside: lies_in(
                name, "kernels", "torch", "numpy", "triton", "safetensors", "tokenizers", "transformers"
            ),
        )
        == []
    )


def test_model_does_not_know_the_server() -> None:
    assert places("model", lambda _path, name, _inside: lies_in(name, "lsp_server", "seedling_lsp")) == []


def test_kernels_import_torch_numpy_and_triton_alone() -> None:
    import sys

    allowed = ("kernels", "torch", "numpy", "triton", *sys.stdlib_module_names)
    assert places("kernels", lambda _path, name, _inside: not lies_in(name, *allowed)) == []


def test_model_imports_downwards() -> None:
    lower = [ROOT / "model" / name for name in LOW]
    upper = tuple(f"model.{name}" for name in HIGH)

    def wrong(path: Path, name: str, _inside: bool) -> bool:
        is_low = any(path == low.with_suffix(".py") or low in path.parents for low in lower)
        return is_low and lies_in(name, *upper)

    assert places("model", wrong) == []


def test_syntax_needs_tree_sitter_alone() -> None:
    """`model.syntax` runs inside the language server, so it must not bring torch in by a detour."""
    import sys

    allowed = ("model.syntax", "tree_sitter", "tree_sitter_python", "msgspec", *sys.stdlib_module_names)

    def wrong(path: Path, name: str, _inside: bool) -> bool:
        return ROOT / "model" / "syntax" in path.parents and name != "model" and not lies_in(name, *allowed)

    assert places("model", wrong) == []


@pytest.mark.parametrize("package", OURS)
def test_init_files_hold_a_docstring_and_nothing_else(package: str) -> None:
    """transformers 5 probes a top-level `kernels` for a version: show none."""
    for path in (ROOT / package).rglob("__init__.py"):
        body = ast.parse(path.read_text("utf-8")).body
        assert len(body) == 1, path
        assert isinstance(body[0], ast.Expr), path
        assert isinstance(body[0].value, ast.Constant), path
        assert isinstance(body[0].value.value, str), path


def test_the_version_is_not_one_that_transformers_takes_for_another_kernels() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    assert not (0, 18, 2) <= numbers < (0, 19)
    assert "__version__" not in "".join(path.read_text("utf-8") for path in modules("kernels"))
