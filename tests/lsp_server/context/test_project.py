"""Files of the folder that may help: what is imported, and neighbours."""

import os
from pathlib import Path

from lsp_server.context.files import Allowance, ProjectFiles
from lsp_server.context.project import MAX_NEIGHBOURS, imported_files, neighbours, same_family


def put(root: Path, files: dict[str, str]) -> ProjectFiles:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return ProjectFiles(str(root))


def imported(files: ProjectFiles, path: str, source: str, language: str = "python") -> list[str]:
    lines = tuple(source.splitlines(keepends=True))
    return [item.file.path for item in imported_files(lines, path, language, files, Allowance())]


def test_imports_inside_the_folder_are_found_and_others_are_not(tmp_path):
    files = put(tmp_path, {"pkg/a.py": "", "pkg/b.py": "x = 1\n", "src/c.py": "y = 1\n"})
    assert imported(files, "pkg/a.py", "import os, torch\nfrom .b import x\nimport c\n") == ["pkg/b.py", "src/c.py"]


def test_a_package_that_hands_names_on_leads_to_where_they_are(tmp_path):
    files = put(
        tmp_path,
        {
            "shop/__init__.py": "from .cart import Cart\nfrom .other import Other\n",
            "shop/cart.py": "class Cart: pass\n",
            "shop/other.py": "class Other: pass\n",
        },
    )
    assert imported(files, "main.py", "from shop import Cart\n") == ["shop/__init__.py", "shop/cart.py"]


def test_other_languages(tmp_path):
    files = put(tmp_path, {"src/b.ts": "", "src/foo.rs": "", "src/b.h": "", "src/main/java/a/D.java": ""})
    assert imported(files, "src/a.ts", "import { b } from './b';\n", "typescript") == ["src/b.ts"]
    assert imported(files, "src/main.rs", "mod foo;\n", "rust") == ["src/foo.rs"]
    assert imported(files, "src/a.c", '#include "b.h"\n', "c") == ["src/b.h"]
    assert imported(files, "src/main/java/a/C.java", "import a.D;\n", "java") == ["src/main/java/a/D.java"]


def test_neighbours_speak_the_language_similar_names_first(tmp_path):
    files = put(tmp_path, dict.fromkeys(("cart.py", "test_cart.py", "zoo.py", "notes.md", "cart.js"), ""))
    for age, name in enumerate(("test_cart.py", "zoo.py")):
        os.utime(tmp_path / name, (age + 1_000, age + 1_000))
    found = neighbours("cart.py", "python", files, Allowance())
    assert [file.path for file in found] == ["test_cart.py", "zoo.py"]


def test_there_are_at_most_so_many_neighbours(tmp_path):
    files = put(tmp_path, {f"n{number}.py": "" for number in range(MAX_NEIGHBOURS + 5)})
    assert len(neighbours("a.py", "python", files, Allowance())) == MAX_NEIGHBOURS


def test_families():
    assert same_family("python", "python")
    assert same_family("typescript", "javascriptreact")
    assert same_family("c", "cpp")
    assert not same_family("python", "javascript")
