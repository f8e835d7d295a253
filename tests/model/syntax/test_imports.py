"""Imports: modules and names as each language writes them."""

import pytest

from model.syntax.imports import MAX_IMPORTS, QUERIES, imports
from model.syntax.languages import LANGUAGES


def found(source: str, language: str) -> list[str]:
    """Each import as `module` or `module: name=local …`."""
    return [
        item.module + ("" if not item.names else ": " + " ".join(f"{name.name}={name.local}" for name in item.names))
        for item in imports(source, language)
    ]


@pytest.mark.parametrize(
    ("language", "source", "expected"),
    [
        ("python", "import a.b as c, d\n", ["a.b", "d"]),
        ("python", "from ..x.y import (z as w,\n    q)\nfrom . import m\n", ["..x.y: z=w q=q", ".: m=m"]),
        ("python", "from k import *\n", ["k"]),
        ("python", "def f():\n    from late import x\n", ["late: x=x"]),
        ("javascript", "import d, {a as b} from './x';\nimport * as n from '../y';\n", ["./x: d=d a=b", "../y"]),
        ("javascript", "const q = require('./z');\nawait import('./w');\nlog('./no');\n", ["./z", "./w"]),
        ("javascriptreact", "import A from './A';\n", ["./A: A=A"]),
        ("typescript", "import type { T } from './t';\nexport { k } from './k';\n", ["./t: T=T", "./k: k=k"]),
        ("typescriptreact", "import { B } from './B';\nconst x = <B/>;\n", ["./B: B=B"]),
        ("rust", "use crate::a::b::{C, D as E};\nuse super::x::Y;\n", ["crate::a::b: C=C D=E", "super::x: Y=Y"]),
        ("rust", "pub mod foo;\nmod inline { }\n", ["mod foo"]),
        ("java", "import c.d.E;\nimport static c.d.F.g;\nimport c.x.*;\n", ["c.d.E", "c.d.F: g=g"]),
        ("c", '#include "x.h"\n#include <stdio.h>\n#include "a/b.h"\n', ["x.h", "a/b.h"]),
        ("cpp", '#include "x.hpp"\n', ["x.hpp"]),
        ("go", 'package p\nimport "fmt"\n', []),
        ("cobol", "COPY x.\n", []),
    ],
)
def test_imports_as_they_are_written(language, source, expected):
    assert found(source, language) == expected


def test_broken_code_keeps_its_imports():
    assert found("x = [\nfrom a import b\ndef f(:\n  import q\n", "python") == ["a: b=b", "q"]
    assert found("import { a } from './a';\nfunction (\nimport { b } from './b';\n", "typescript")[0] == "./a: a=a"


def test_half_typed_imports_raise_nothing():
    for source in ("from ", "from .", "from . import", "from .a import (", "import", "import a.", "import a as"):
        imports(source, "python")
    for source in ("use ", "use a::", "use a::{", "mod ", "use ::{};"):
        imports(source, "rust")
    for source in ("import ", "import a.", "import static ", "import static x;"):
        imports(source, "java")


def test_there_are_at_most_so_many():
    assert len(imports("import a\n" * (MAX_IMPORTS + 5), "python")) == MAX_IMPORTS


def test_only_languages_with_a_grammar_are_read():
    assert QUERIES.keys() <= LANGUAGES.keys()
