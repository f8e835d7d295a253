"""What was found unasked: moved with the text, shown as hints, named so that it can be sent away."""

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.client_profile import ClientProfile
from lsp_server.features.fix import Repair, usable
from lsp_server.features.mend import diagnostics_of, key_of, mend_actions, moved
from lsp_server.positions import split_lines
from lsp_server.snapshot import open_document
from model.engine import api

URI = "file:///w/a.py"


def repair_of(source: str, old: str, new: str) -> Repair:
    start = source.index(old)
    finding = api.Finding(start=start, end=start + len(old), text=new, confidence=0.9, kind="name")
    (repair,) = usable(source, "python", None, [finding])
    return repair


LINES = st.lists(st.sampled_from(["x = 1\n", "y = aa\n", "\n", "é = 2\r\n"]), min_size=1, max_size=8)


@given(before=LINES, after=LINES, new_before=LINES, new_after=LINES)
def test_a_moved_repair_stands_at_the_same_line_or_is_gone(before, after, new_before, new_after):
    marked = "total = tottal\n"
    old = split_lines("".join([*before, marked, *after]))
    source = "".join(old).replace("\r\n", "\n")
    repair = repair_of(source, "tottal", "total")
    new = split_lines("".join([*new_before, marked, *new_after]))
    new_source = "".join(new).replace("\r\n", "\n")
    for one in moved([repair], old, new):
        assert new_source[one.start : one.end] == "tottal"
        assert new_source[one.left : one.left + len(one.shown[0])] == one.shown[0]
    gone = split_lines("".join([*new_before, *new_after]))
    assert moved([repair], old, gone) == ()


def test_nothing_moves_in_an_unchanged_text():
    lines = split_lines("a = b\n")
    repair = repair_of("a = b\n", "b", "c")
    assert moved([repair], lines, lines) == (repair,)


def test_something_added_can_be_seen():
    source = "def f(a)\n    return a\n"
    finding = api.Finding(start=8, end=8, text=":", confidence=0.9, kind="colon")
    (repair,) = usable(source, "python", None, [finding])
    (hint,) = diagnostics_of(open_document(URI, "python", 1, source), [repair], ClientProfile())
    assert hint["range"] == {"start": {"line": 0, "character": 7}, "end": {"line": 0, "character": 8}}
    assert hint["message"] == "Perhaps a mistake: add `:`?"


def test_a_finding_is_named_by_file_line_and_change():
    source = "a = b\nc = b\n"
    one = repair_of(source, "b", "d")
    key = key_of("a.py", source, one)
    lower = "\n\n    a = b\n"
    assert key_of("a.py", lower, repair_of(lower, "b", "d")) == key
    assert key_of("b.py", source, one) != key
    assert key_of("a.py", source, repair_of(source, "b", "e")) != key
    other = "a = b  # new\nc = b\n"
    assert key_of("a.py", other, repair_of(other, "b", "d")) != key


def test_only_the_findings_of_the_rows_are_in_the_menu():
    source = "a = b\nc = d\n"
    document = open_document(URI, "python", 3, source)
    repairs = [repair_of(source, "b", "x"), repair_of(source, "d", "y")]
    fix, ignore = mend_actions(document, "a.py", repairs, 1, 1, ())
    assert fix.data is not None
    assert (fix.data["text"], fix.data["version"], fix.data["kind"]) == ("y", 3, "mend")
    assert ignore.command == ("seedling.ignoreFinding", (URI, key_of("a.py", source, repairs[1])))
    assert mend_actions(document, "a.py", repairs, 5, 9, ()) == ()
