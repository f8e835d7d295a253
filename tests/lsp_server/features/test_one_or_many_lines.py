"""Several lines only where a block is empty at the cursor, in every language, sound or broken."""

import msgspec
import pytest
from capabilities import capabilities

from lsp_server.features.one_or_many_lines import is_line_completion
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.snapshot import Snapshot, open_document
from model.engine import api

BLOCKS = capabilities()

SEVERAL = [
    ("python", "def f(x):\n    |\n"),
    ("python", "def f(\n    x,\n) -> int:\n    |\n"),
    ("python", "class A:\n    |\n\n\ndef g():\n    pass\n"),
    ("python", 'def f(x):\n    """Doc."""\n    |\n'),
    ("python", "for x in y:\n    # each\n    |\nz = 1\n"),
    ("python", "def f(x):\n\n    |\n"),
    ("python", "if x:\n    a = 1\nelse:\n    |\n"),
    ("python", "try:\n    |\nexcept OSError:\n    pass\n"),
    ("python", "x = (\n\ndef f(x):\n    |\n"),
    ("javascript", "function f() {\n  |\n}\n"),
    ("javascript", "function f() {\n  |\n\nfunction g() {\n  return 1;\n}\n"),
    ("javascript", "if (a) {\n  |\n"),
    ("javascript", "a.map((x) => {\n  |\n});\n"),
    ("typescript", "class A {\n  m(): void {\n    |\n  }\n}\n"),
    ("go", "func f() {\n\t|\n}\n"),
    ("rust", "fn f() {\n    // first\n    |\n}\n"),
    ("java", "class A {\n  void f() {\n    |\n"),
    ("c", "int f(void)\n{\n  |\n}\n"),
    ("cpp", "namespace a {\n|\n}\n"),
    ("cobol", "BEGIN {\n  |\n}\n"),
]
ONE = [
    ("python", "def f(x):\n    r|\n"),
    ("python", "def f(x):\n    |)\n"),
    ("python", "def f(x):\n    |\n    y = 1\n"),
    ("python", 'def f(x):\n    """Doc."""\n    |\n    y = 1\n'),
    ("python", "x = 1\n|\n"),
    ("python", "# note:\n|\n"),
    ("python", 'x = {"a":\n    |\n}\n'),
    ("python", "x = [1, 2, 3][1:\n    |\n"),
    ("python", 'x = """a:\n|\n"""\n'),
    ("javascript", "const a = {\n  |\n};\n"),
    ("javascript", "return {\n  |\n"),
    ("javascript", "f({\n  |\n"),
    ("javascript", "function f() {\n  a();\n  |\n}\n"),
    ("javascript", "function f() {\n  |\n  a();\n}\n"),
    ("javascript", "// {\n|\n"),
    ("go", "x := []int{\n\t|\n}\n"),
    ("rust", "let a = A {\n    |\n};\n"),
    ("c", "int a[] = {\n  |\n};\n"),
    ("cobol", "* note:\nx\n|\n"),
    ("cobol", "# note:\n|\n"),
]


def asks_for_a_line(text: str, language: str, capabilities: api.Capabilities = BLOCKS, **settings) -> bool:
    before, _, after = text.partition("|")
    cursor = Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
    document = open_document("file:///w/a", language, 1, before + after)
    return is_line_completion(Snapshot(document=document, cursor=cursor, path="a"), Settings(**settings), capabilities)


@pytest.mark.parametrize(("language", "text"), SEVERAL)
def test_an_empty_block_is_written_whole(language, text):
    assert not asks_for_a_line(text, language)
    assert not asks_for_a_line(text.replace("\n", "\r\n"), language)
    assert asks_for_a_line(text, language, multi_line=False)
    assert asks_for_a_line(text, language, msgspec.structs.replace(BLOCKS, complete=("line",)))


@pytest.mark.parametrize(("language", "text"), ONE)
def test_anywhere_else_it_is_a_line(language, text):
    assert asks_for_a_line(text, language)
