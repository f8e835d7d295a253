"""Which files an import may mean."""

import pytest

from lsp_server.context.resolve import MAX_CANDIDATES, files_of
from model.syntax.imports import Import, Imported, imports


@pytest.mark.parametrize(
    ("language", "path", "line", "expected"),
    [
        ("python", "pkg/sub/a.py", "from .b import x", "pkg/sub/b.py"),
        ("python", "pkg/sub/a.py", "from ..c import x", "pkg/c.py"),
        ("python", "pkg/sub/a.py", "from . import b", "pkg/sub/b.py"),
        ("python", "pkg/sub/a.py", "from .. import x", "pkg/__init__.py"),
        ("python", "pkg/a.py", "import pkg.b", "pkg/b.py"),
        ("python", "src/pkg/a.py", "from pkg.b import x", "src/pkg/b.py"),
        ("python", "lib/deep/pkg/a.py", "from pkg import b", "lib/deep/pkg/b.py"),
        ("python", "scripts/run.py", "import helper", "scripts/helper.py"),
        ("typescript", "src/a.ts", "import { x } from './b';", "src/b.ts"),
        ("typescript", "src/a.ts", "import { x } from '../b.js';", "b.ts"),
        ("typescriptreact", "src/a.tsx", "import B from './B';", "src/B.tsx"),
        ("javascript", "src/a.js", "const b = require('./b');", "src/b.js"),
        ("javascript", "src/a.js", "import x from './lib';", "src/lib/index.js"),
        ("rust", "src/main.rs", "mod foo;", "src/foo.rs"),
        ("rust", "src/a.rs", "mod foo;", "src/a/foo.rs"),
        ("rust", "src/deep/a.rs", "use crate::x::y::Z;", "src/x/y.rs"),
        ("rust", "src/deep/a.rs", "use super::b::Z;", "src/deep/b.rs"),
        ("java", "src/main/java/a/b/C.java", "import a.c.D;", "src/main/java/a/c/D.java"),
        ("c", "src/a.c", '#include "b.h"', "src/b.h"),
        ("cpp", "src/a.cpp", '#include "lib/b.hpp"', "include/lib/b.hpp"),
    ],
)
def test_the_file_is_among_the_candidates(language, path, line, expected):
    (item,) = imports(line + "\n", language)
    assert expected in files_of(item, path, language)


def test_the_likeliest_comes_first():
    (item,) = imports("from .b import x\n", "python")
    assert files_of(item, "pkg/a.py", "python") == ["pkg/b/x.py", "pkg/b.py", "pkg/b/__init__.py"]


@pytest.mark.parametrize(
    ("language", "module"),
    [
        ("python", "....too.far"),
        ("javascript", "../../../etc/passwd"),
        ("javascript", "/etc/passwd"),
        ("javascript", "lodash"),
        ("c", "../../../../etc/passwd"),
        ("c", "/etc/passwd"),
        ("rust", "super::super::super::super::x"),
        ("rust", "serde::de"),
        ("java", "..x"),
        ("go", "fmt"),
    ],
)
def test_no_candidate_leaves_the_folder(language, module):
    for path in ("a.py", "src/a.py"):
        found = files_of(Import(module), path, language)
        assert all(not name.startswith(("/", "..")) for name in found)
        assert len(found) <= MAX_CANDIDATES


def test_hostile_modules_raise_nothing():
    odd = ["", ".", "..", "a\0b", "a/../../b", "x" * 5_000, "\ud800", "mod ", "mod ..", "crate", "self", "super", "::"]
    for language in ("python", "javascript", "rust", "java", "c"):
        for module in odd:
            files_of(Import(module, (Imported("../../x", "y"),)), "src/a.py", language)
