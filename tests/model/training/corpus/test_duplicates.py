"""Exact and near duplicates: the first file stays, different files stay."""

from model.training.corpus.duplicates import SeenFiles
from model.training.corpus.exclusions import line_hashes


def _reason(seen: SeenFiles, text: str) -> str:
    return seen.reason(text, line_hashes(text))


def test_the_same_text_up_to_white_space_is_dropped(make_module):
    seen = SeenFiles()
    assert _reason(seen, make_module("a")) == ""
    assert _reason(seen, make_module("a")) == "exact duplicate"
    assert _reason(seen, make_module("a").replace("    ", "\t") + "\n\n") == "exact duplicate"
    assert _reason(seen, make_module("b")) == ""


def test_a_changed_copy_is_dropped(make_module):
    seen = SeenFiles()
    lines = make_module("a", 40).splitlines()
    assert _reason(seen, "\n".join(lines)) == ""
    changed = [line + "  # changed" if number % 20 == 3 else line for number, line in enumerate(lines)]
    assert _reason(seen, "\n".join(changed)) == "near duplicate"


def test_half_alike_is_not_alike(make_module):
    seen = SeenFiles()
    lines, other = make_module("a", 40).splitlines(), make_module("b", 40).splitlines()
    assert _reason(seen, "\n".join(lines)) == ""
    assert _reason(seen, "\n".join(lines[:120] + other[:120])) == ""


def test_files_of_few_lines_are_compared_exactly_only():
    seen = SeenFiles()
    assert _reason(seen, "from .core import something_long\nanother_name = something_long\n") == ""
    assert _reason(seen, "from .core import something_long\nanother_name = something_long()\n") == ""
