"""When nothing is asked, in which order that is found out, and what asking by hand changes."""

import msgspec
import pytest
from capabilities import capabilities

from lsp_server.engine_link import EngineState
from lsp_server.features.quiet import DOCUMENT_RULES, PLACE_RULES, QUIET_REASONS, Asked, num_words, why_quiet
from lsp_server.outcome import Reason
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.snapshot import Change, Snapshot, open_document

LANGUAGES = ("python", "javascript", "typescript", "typescriptreact", "go", "rust", "java", "c", "cpp", "cobol")
CAPABILITIES = capabilities(languages=LANGUAGES, complete=("line",))
READY = EngineState(kind="ready", capabilities=CAPABILITIES)


def at(text: str, language: str = "python", uri: str = "file:///w/a.py", **more) -> Snapshot:
    """The snapshot of `text` with its cursor at the `|`."""
    before, _, after = text.partition("|")
    cursor = Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
    return Snapshot(document=open_document(uri, language, 1, before + after), cursor=cursor, path="a.py", **more)


def reason(snapshot: Snapshot, engine: EngineState = READY, **settings) -> Reason | None:
    outcome = why_quiet(Asked(snapshot, Settings(**settings), engine))
    return None if outcome is None else outcome.reason


COMMENTS = [
    ("python", "# the sum of |"),
    ("python", "x = 1  # the |\ny = 2\n"),
    ("python", "def f():\n    # |\n    return 1\n"),
    ("javascript", "// the |\nf()\n"),
    ("typescript", "/**\n * the |\n */\nfunction f() {}\n"),
    ("typescriptreact", "const a = <b>{/* the | */}</b>;\n"),
    ("go", "package a\n\n// F is |\nfunc F() {}\n"),
    ("rust", "/// The |\nfn f() {}\n"),
    ("rust", "/* the | */\nfn f() {}\n"),
    ("java", "class A {\n  // the |\n}\n"),
    ("c", "int a; /* the |\n*/\nint b;\n"),
    ("cpp", "int a; // the |\nint b;\n"),
    # not finished, or in code that is not
    ("python", "def f(:\n    # the |\n"),
    ("javascript", "function f( {\n  // the |\n"),
    ("go", "func F( {\n\t/* the |"),
    ("rust", "fn f( {\n  // the |"),
    ("java", "class A {\n  void f( {\n  /** the |"),
    ("c", "int f( {\n /* the |"),
    ("cpp", "int f( {\n // 1'000 |"),
]
TEXTS = [
    ("python", 'def f():\n    """The |"""\n'),
    ("python", 'def f():\n    """The sum.\n\n    |\n    """\n    return 1\n'),
    ("python", '"""|"""\n'),
    ("python", 'def f():\n    """The |\n'),
    ("python", "class A:\n    '''The |\n\n    def f(self):\n        pass\n"),
    ("python", 'QUERY = """\nselect |\n"""\n'),
    ("python", 'raise ValueError("the value must be |")\n'),
    ("python", 'raise ValueError("the value must be |'),
    ("javascript", "const s = `one\ntwo |\n`;\n"),
    ("javascript", "throw new Error('nothing of that name |');\n"),
    ("go", "package a\n\nvar s = `one\ntwo |\n`\n"),
    ("rust", 'fn f() {\n    let s = "one\n    two |\n";\n}\n'),
    ("java", 'class A {\n  String s = """\n  one |\n  """;\n}\n'),
    ("cpp", 'auto s = R"(one\ntwo |\n)";\n'),
]
CODE = [
    ("python", "x = |"),
    ("python", '"""Doc."""|\n'),
    ("python", "# note\n|\n"),
    ("python", 'x = d["|"]\n'),
    ("python", 'x = open("data/prices|")\n'),
    ("python", 'x = d["ke|'),
    ("python", 'print(f"the sum of all is {total.|}")\n'),
    ("python", 'print(f"the sum of all is {total.|'),
    ("python", 'x = "a b c d e"|\n'),
    ("python", "x = '# '|\n"),
    ("javascript", "const s = `the sum of all is ${total.|}`;\n"),
    ("javascript", "const s = `the sum of all is ${total.|"),
    ("javascript", "/* note */ |\n"),
    ("javascript", "const r = /['\"]/;\nf(|)\n"),
    ("typescript", "let a: string|\n"),
    ("go", 'import "fm|"\n'),
    ("rust", "fn f<'a>(x: &'a |"),
    ("rust", "/// The sum.\n|\nfn f() {}\n"),
    ("c", '#include "a|"\n'),
    ("cpp", "int x = 1'000; f(|\n"),
    ("cobol", "* the sum of |"),  # no grammar: nothing is known
]


@pytest.mark.parametrize(("language", "text"), COMMENTS + TEXTS)
def test_in_comments_and_texts_nothing_is_offered_unasked(language, text):
    assert reason(at(text, language)) in (Reason.IN_COMMENT, Reason.MID_LINE)
    assert reason(at(text, language, trigger="invoked")) is None
    assert reason(at(text, language), comments=True) in (None, Reason.MID_LINE)


@pytest.mark.parametrize(("language", "text"), [pair for pair in COMMENTS + TEXTS if pair[1].endswith(("|", "|\n"))])
def test_the_reason_at_the_end_of_a_line_is_the_comment(language, text):
    assert reason(at(text, language)) is Reason.IN_COMMENT


@pytest.mark.parametrize(("language", "text"), CODE)
def test_code_short_strings_and_holes_in_strings_are_completed(language, text):
    assert reason(at(text, language)) is None


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_other_line_ends_change_nothing(newline):
    text = 'x = 1\n"""é\nthe 𝒳 |\n"""\ny = |\n'
    first = text.replace("y = |", "y = ", 1).replace("\n", newline)
    before, _, after = first.partition("|")
    row = before.count(newline)
    document = open_document("file:///w/a.py", "python", 1, before + after)
    snapshot = Snapshot(document=document, cursor=Position(row, len("the 𝒳 ")), path="a.py")
    assert reason(snapshot) is Reason.IN_COMMENT
    code = msgspec.structs.replace(snapshot, cursor=Position(row + 2, len("y = ")))
    assert reason(code) is None


@pytest.mark.parametrize(
    ("begun", "num"),
    [
        ('"', 0),
        ('"a', 1),
        ('"the sum of', 3),
        ('"The sum, of: all', 4),
        ('"/usr/lib', 0),
        ('"%d of %d', 1),
        ("'a.b c-d", 0),
    ],
)
def test_words_of_prose(begun, num):
    assert num_words(begun) == num


def typed(*texts: str) -> Snapshot:
    """A snapshot after these versions; the last one has the cursor at its `|`."""
    last = at(texts[-1])
    document = open_document("file:///w/a.py", "python", 1, texts[0])
    for version, text in enumerate([*texts[1:-1], "".join(last.document.lines)], 2):
        document = document.changed([Change(text)], version, "utf-16")
    return msgspec.structs.replace(last, document=document)


def test_after_a_deletion_nothing_is_offered_until_something_is_typed():
    assert reason(typed("x = 12", "x = 1|")) is Reason.JUST_DELETED
    assert reason(typed("x = 123", "x = 12", "x = 1|")) is Reason.JUST_DELETED
    assert reason(typed("x = 1234", "x = 123", "x = 12", "x = 1|")) is None
    assert reason(typed("x = 12", "x = 1", "x = 13|")) is None
    by_hand = msgspec.structs.replace(typed("x = 12", "x = 1|"), trigger="invoked")
    assert reason(by_hand) is None


def test_what_was_undone_is_not_offered_again():
    undone = typed("x = ", "x = foo(1)", "x = |")
    assert reason(undone) is Reason.UNDONE
    assert Reason.UNDONE not in QUIET_REASONS  # else it would be shown again at once
    assert reason(msgspec.structs.replace(undone, trigger="invoked")) is None


@pytest.mark.parametrize("text", ["|", "\n\n|\n", "  |\n", "\ufeff|", "\r\n|"])
def test_in_an_empty_document_nothing_is_offered_unasked(text):
    assert reason(at(text)) is Reason.EMPTY_DOCUMENT
    assert reason(at(text, trigger="invoked")) is None
    assert reason(at(text + "\nx")) is None


def test_languages_are_switched_off_by_both_settings():
    assert reason(at("x = |"), languages_off=("python",)) is Reason.LANGUAGE_OFF
    assert reason(at("x = |", trigger="invoked"), languages_off=("python",)) is Reason.LANGUAGE_OFF
    assert reason(at("x = |"), languages=("go",)) is Reason.LANGUAGE_OFF
    assert reason(at("x = |"), languages_off=("go",)) is None


def test_the_users_will_comes_first_the_tree_last():
    worst = at("# a|b", "cobol", uri="git:/w/.env")
    everything_off = {"enabled": False, "languages_off": ("cobol",), "manual_only": True}
    engine = EngineState(kind="ready", capabilities=msgspec.structs.replace(CAPABILITIES, languages=("python",)))
    order = [
        (everything_off, engine, Reason.DISABLED),
        ({"languages_off": ("cobol",), "manual_only": True}, engine, Reason.LANGUAGE_OFF),
        ({"manual_only": True}, engine, Reason.MANUAL_ONLY),
        ({}, engine, Reason.FOREIGN_SCHEME),
    ]
    for settings, state, expected in order:
        assert reason(worst, state, **settings) is expected
    assert reason(at("# a|b", "cobol"), engine) is Reason.LANGUAGE_NOT_SUPPORTED
    assert reason(at("# a|b")) is Reason.MID_WORD
    assert reason(at("# a | b")) is Reason.MID_LINE
    assert reason(at("# a |")) is Reason.IN_COMMENT


def test_an_endless_line_gets_nothing_and_the_others_do():
    for trigger in ("automatic", "invoked"):
        assert reason(at("x" * 1_001 + "|", trigger=trigger)) is Reason.MINIFIED
        assert reason(at("x" * 5_000 + "\ny = |\n", trigger=trigger)) is None


def test_by_hand_only_what_is_never_completed_is_refused():
    by_hand = {
        rule.__name__
        for rule in (*DOCUMENT_RULES, *PLACE_RULES)
        for snapshot in (
            at("x = |", trigger="invoked"),
            at("# a|b c", trigger="invoked"),
            at("|", trigger="invoked"),
            msgspec.structs.replace(typed("x = 12", "x = 1|"), trigger="invoked"),
        )
        if rule(Asked(snapshot, Settings(manual_only=True), READY)) is not None
    }
    assert by_hand == set()


def test_each_rule_says_why_it_is_there():
    import inspect

    for rule in (*DOCUMENT_RULES, *PLACE_RULES):
        assert "    # " in inspect.getsource(rule), rule.__name__
