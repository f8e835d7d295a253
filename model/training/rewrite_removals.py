"""Old versions with something too much, or out of order: debug output, an unused import, code in comments, imports.

What is put in is made up or copied from nearby, so that the new code is the text as it stands. Source: this project's
design; autoflake, eradicate and isort do the same by rule. Left out: dead code that only a type checker would find.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import tree_sitter

from model.syntax.trees import captures
from model.training.rewrite_code import Code, Edit, Place, has_word

MAX_INSERTED = 3
_STATEMENTS = "(function_definition body: (block (_) @statement))"
_NAMES = "[(assignment left: (identifier) @name) (parameters (identifier) @name) (typed_parameter (identifier) @name)]"
_IMPORTS = "[(import_statement) (import_from_statement)] @import"
_DEBUG_FORMS = (
    "print({name})",
    'print("{name}", {name})',
    'print("{name}:", {name})',
    "print('{name}', {name})",
    'print(f"{{{name}=}}")',
    'print(f"{name}: {{{name}}}")',
    'print("DEBUG", {name})',
    "print(type({name}))",
    "print(repr({name}))",
    'print("here")',
    'print("---")',
    "print('got here')",
    "breakpoint()",
    "import pdb; pdb.set_trace()",
    "pprint({name})",
)
_DEBUG = re.compile(r"\b(print|pprint|breakpoint|set_trace)\(")
_COMMENT = re.compile(r"^\s*#", re.MULTILINE)
_UNUSED = (
    "import abc",
    "import copy",
    "import functools",
    "import io",
    "import itertools",
    "import json",
    "import logging",
    "import math",
    "import os",
    "import pathlib",
    "import random",
    "import re",
    "import string",
    "import subprocess",
    "import sys",
    "import tempfile",
    "import time",
    "import warnings",
    "import numpy as np",
    "from collections import defaultdict",
    "from collections import OrderedDict",
    "from dataclasses import dataclass",
    "from datetime import datetime",
    "from functools import partial",
    "from functools import wraps",
    "from itertools import chain",
    "from os import path",
    "from pathlib import Path",
    "from typing import Any",
    "from typing import Optional",
    "from unittest import mock",
    "from urllib.parse import urlparse",
)


def debug(code: Code, rng: Random) -> Iterator[Place]:
    """One to three statements of a function with debug output before or between them."""
    for statement in code.shuffled(_STATEMENTS, "statement", rng):
        follow = [statement]
        while len(follow) < rng.randint(1, 4) and follow[-1].next_named_sibling is not None:
            follow.append(follow[-1].next_named_sibling)
        if _DEBUG.search(code.text[code.start(follow[0]) : code.end(follow[-1])]):
            continue
        edits = []
        for node in rng.sample(follow, min(len(follow), rng.choice((1, 1, 2, MAX_INSERTED)))):
            if code.is_alone(node) and node.type != "comment":
                line = rng.choice(_DEBUG_FORMS).format(name=_name_near(code, node, rng))
                at = code.line_start(code.start(node))
                edits.append(Edit(at, at, f"{code.indent(node)}{line}\n"))
        if edits:
            start, end = code.lines(follow[0], follow[-1])
            yield Place(start, end, tuple(edits), "debug", form="debug", widens=False)


def _name_near(code: Code, statement: tree_sitter.Node, rng: Random) -> str:
    """A name bound before the statement in its function."""
    node = statement.parent
    while node is not None and node.type != "function_definition":
        node = node.parent
    names = [] if node is None else captures(node, _NAMES).get("name", [])
    return rng.choice([code.of(name) for name in names if name.start_byte < statement.start_byte] or ["x"])


def unused_import(code: Code, rng: Random) -> Iterator[Place]:
    """Imports with one more line among them that nothing uses."""
    for node in code.shuffled(_IMPORTS, "import", rng):
        if not code.is_alone(node):
            continue
        lines = [line for line in _UNUSED if not has_word(code.text, line.split()[-1])]
        if not lines:
            return
        line = rng.choice(lines)
        name = line.split()[-1]
        at = code.line_start(code.start(node))
        start, end = _run(code, node)
        edit = Edit(at, at, f"{code.indent(node)}{line}\n")
        yield Place(start, end, (edit,), "unused-import", {"name": name}, widens=False)


def _run(code: Code, node: tree_sitter.Node) -> tuple[int, int]:
    """The imports that stand together with one, as whole lines."""
    run = _imports_around(code, node)
    while code.end(run[-1]) - code.start(run[0]) > code.max_chars and len(run) > 1:
        run = run[: run.index(node) + 1] if run[-1] != node else run[1:]
    return code.lines(run[0], run[-1])


def _imports_around(code: Code, node: tree_sitter.Node) -> list[tree_sitter.Node]:
    run = [node]
    for step in ("prev_named_sibling", "next_named_sibling"):
        near = node
        while True:
            found = getattr(near, step)
            if found is None or found.type not in ("import_statement", "import_from_statement"):
                break
            if (
                abs(found.start_point.row - near.end_point.row) > 1
                and abs(near.start_point.row - found.end_point.row) > 1
            ):
                break
            run.append(found)
            near = found
    return sorted(run, key=lambda one: one.start_byte)


def sort_imports(code: Code, rng: Random) -> Iterator[Place]:
    """Three or more imports in order, shuffled."""
    for node in code.shuffled(_IMPORTS, "import", rng):
        run = _imports_around(code, node)
        lines = [code.of(one) for one in run]
        if len(run) < 3 or any("\n" in line for line in lines) or not all(code.is_alone(one) for one in run):
            continue
        if not any(
            all(a <= b for a, b in pairwise(map(key, lines))) for key in (_by_text, _by_module, _by_kind_and_module)
        ):
            continue
        while len(run) > 3 and code.end(run[-1]) - code.start(run[0]) > code.max_chars:
            run.pop()
        lines = [code.of(one) for one in run]
        shuffled = rng.sample(lines, len(lines))
        if shuffled != lines:
            edits = tuple(Edit(*code.span(one), line) for one, line in zip(run, shuffled, strict=True))
            yield Place(*code.lines(run[0], run[-1]), edits, "sort-imports", widens=False)


def _by_text(line: str) -> tuple[bool, str]:
    return False, line.lower()


def _by_module(line: str) -> tuple[bool, str]:
    return False, line.split()[1].lower()


def _by_kind_and_module(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line.split()[1].lower()


def commented_out(code: Code, rng: Random) -> Iterator[Place]:
    """One to four statements with lines from nearby as comments between them."""
    for statement in code.shuffled(_STATEMENTS, "statement", rng):
        follow = [statement]
        while len(follow) < rng.randint(2, 4) and follow[-1].next_named_sibling is not None:
            follow.append(follow[-1].next_named_sibling)
        start, end = code.lines(follow[0], follow[-1])
        near = [line for line in code.text[max(0, start - 600) : end + 600].split("\n")[1:-1] if _is_code(line)]
        node = rng.choice(follow)
        if not near or not code.is_alone(node) or _COMMENT.search(code.text[start:end]):
            continue
        first = rng.randrange(len(near))
        copied = near[first : first + rng.choice((1, 1, 2, 3))]
        indent = code.indent(node)
        at = code.line_start(code.start(node))
        lines = "".join(f"{indent}# {line.strip()}\n" for line in copied)
        yield Place(start, end, (Edit(at, at, lines),), "commented-out", widens=False)


def _is_code(line: str) -> bool:
    return re.search(r"[=()]", line) is not None and not line.strip().startswith(("#", '"', "'")) and len(line) < 90
