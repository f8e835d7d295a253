"""Gathering as a whole: classes and budgets, nothing twice, and every rule about what may be quoted."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lsp_server.context.budget import Budget
from lsp_server.context.files import ProjectFiles
from lsp_server.context.gather import CLASSES, gather
from lsp_server.context.ring import Chunk
from lsp_server.context.scene import Scene
from lsp_server.context.window import prompt_window
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.snapshot import Document, Snapshot, open_document
from lsp_server.uris import display_path
from model.engine import api

ROOMY = Budget(num_snippets=8, snippet_chars=400, total_chars=3_000)
HERE = "from shop import Invoice\n\n\ndef total(cart):\n    invoice = Invoice(cart)\n    return price_of(|cart)\n"
PRICE = "def price_of(cart):\n    return sum(item.price for item in cart)\n"
INVOICE = "class Invoice:\n    def __init__(self, cart):\n        self.cart = cart\n"


def opened(uri: str, text: str, language: str = "python") -> Document:
    return open_document(uri, language, 1, text)


def scene_of(marked: str = HERE, uri: str = "file:///w/here.py", *documents: Document, **more) -> Scene:
    before, _, after = marked.partition("|")
    folders = more.setdefault("folders", ("file:///w",))
    cursor = Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
    snapshot = Snapshot(document=opened(uri, before + after), cursor=cursor, path=display_path(uri, folders))
    return Scene(snapshot=snapshot, documents=documents, **{"budget": ROOMY, **more})


def paths(snippets: tuple[api.Snippet, ...]) -> set[str]:
    return {snippet.path for snippet in snippets}


def chunk(uri: str, text: str) -> Chunk:
    return Chunk(uri, "python", 0, tuple(text.splitlines(keepends=True)))


def put(root: Path, files: dict[str, str]) -> ProjectFiles:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return ProjectFiles(str(root))


def on_disk(root: Path, *documents: Document, **more) -> Scene:
    return scene_of(HERE, (root / "here.py").as_uri(), *documents, folders=(root.as_uri(),), **more)


def test_each_class_gives_something(tmp_path):
    files = put(tmp_path, {"shop.py": INVOICE, "other_cart.py": "def show(cart, invoice):\n    print(cart, invoice)\n"})
    folder = tmp_path.as_uri()
    recent = chunk(f"{folder}/recent.py", "invoice = make(cart)\ntotal(cart)\n")
    scene = on_disk(tmp_path, opened(f"{folder}/price.py", PRICE), ring=(recent,))
    found = gather(scene, files)
    assert paths(found) == {"shop.py", "other_cart.py", "recent.py", "price.py"}
    assert found[0].text.startswith(("def price_of", "class Invoice"))  # definitions come first
    assert all(snippet.text.endswith("\n") for snippet in found)


def test_without_files_open_documents_alone():
    scene = scene_of(HERE, "file:///w/here.py", opened("file:///w/price.py", PRICE), folders=())
    assert paths(gather(scene, None)) == {"price.py"}


def test_an_open_document_is_quoted_as_it_stands_not_as_it_was_saved(tmp_path):
    files = put(tmp_path, {"price.py": "def price_of(old): return 'old'\n"})
    scene = on_disk(tmp_path, opened((tmp_path / "price.py").as_uri(), PRICE))
    texts = [snippet.text for snippet in gather(scene, files)]
    assert any("item.price" in text for text in texts)
    assert not any("old" in text for text in texts)


@pytest.mark.parametrize(
    ("context", "expected"), [("project", {"price.py", "shop.py"}), ("open", {"price.py"}), ("none", set())]
)
def test_the_setting_says_what_is_read(tmp_path, context, expected):
    files = put(tmp_path, {"shop.py": INVOICE})
    document = opened((tmp_path / "price.py").as_uri(), PRICE)
    scene = on_disk(tmp_path, document, settings=Settings(context=context))
    assert paths(gather(scene, files)) == expected


@pytest.mark.parametrize(
    ("uri", "settings"),
    [
        ("file:///other/price.py", {}),  # outside the workspace folder
        ("file:///w/nested/price.py", {}),  # another workspace folder, inside this one
        ("file:///w/secrets.py", {}),
        ("file:///w/.ssh/price.py", {}),
        ("git:/w/price.py", {}),
        ("output:price.py", {}),
        ("file:///w/gen/price.py", {"exclude": ("gen",)}),
        ("file:///w/price.py", {"languages_off": ("python",)}),
    ],
)
def test_what_may_not_be_quoted(uri, settings):
    folders = ("file:///w", "file:///w/nested", "file:///else")
    more = {"folders": folders, "settings": Settings(**settings), "ring": (chunk(uri, PRICE),)}
    assert gather(scene_of(HERE, "file:///w/here.py", opened(uri, PRICE), **more), None) == ()
    assert gather(scene_of(HERE, "file:///w/here.py", opened("file:///w/ok.py", PRICE), folders=folders), None) != ()


def test_open_documents_that_the_project_ignores_are_not_quoted(tmp_path):
    files = put(tmp_path, {".gitignore": "local.py\n", ".seedlingignore": "private/\n"})
    for name in ("local.py", "private/price.py"):
        document = opened((tmp_path / name).as_uri(), PRICE)
        assert gather(on_disk(tmp_path, document), files) == ()


def test_an_open_link_to_what_may_not_be_quoted_is_not_quoted(tmp_path):
    files = put(tmp_path, {".gitignore": "local/\n", "local/l.py": PRICE, ".env": PRICE, "ok.py": PRICE})
    for name, target in (("a.py", "local/l.py"), ("b.py", ".env"), ("c.py", "ok.py")):
        (tmp_path / name).symlink_to(tmp_path / target)
        scene = on_disk(tmp_path, opened((tmp_path / name).as_uri(), PRICE), settings=Settings(context="open"))
        assert (gather(scene, files) != ()) == (target == "ok.py"), target


def test_other_languages_are_not_quoted():
    scene = scene_of(HERE, "file:///w/here.py", opened("file:///w/a.js", "function price_of(cart) {}\n", "javascript"))
    assert gather(scene, None) == ()


def test_what_the_window_shows_is_not_repeated():
    copy = opened("file:///w/copy.py", HERE.replace("|", ""))
    assert gather(scene_of(HERE, "file:///w/here.py", copy), None) == ()
    assert gather(scene_of(PRICE + HERE), None) == ()


@pytest.mark.parametrize("num_snippets", [1, 8])
def test_lines_that_stand_in_the_window_but_go_on_differently_are_quoted(num_snippets):
    rest = "    log(invoice, cart)\n"
    similar = opened("file:///w/similar.py", HERE.replace("|", "") + rest)
    budget = Budget(num_snippets, snippet_chars=200, total_chars=800)
    (snippet,) = gather(scene_of(HERE, "file:///w/here.py", similar, budget=budget), None)
    assert snippet.text.endswith(rest)
    assert snippet.text.count("\n") > 2  # most of it is known


def test_a_far_place_of_the_same_document_is_quoted():
    filler = "".join(f"value_{number} = {number}\n" for number in range(400))
    found = gather(scene_of(PRICE + filler + HERE), None)
    assert [(snippet.path, snippet.text) for snippet in found] == [("here.py", PRICE)]


def test_nothing_is_quoted_twice():
    documents = (opened("file:///w/price.py", PRICE), opened("file:///w/copy.py", PRICE))
    found = gather(scene_of(HERE, "file:///w/here.py", *documents, ring=(chunk("file:///w/r.py", PRICE),)), None)
    assert len(found) == 1


def test_no_class_starves_the_others():
    definitions = [
        opened(f"file:///w/d{name}.py", f"def {name}(x):\n    '''{'d' * 300}'''\n") for name in ("one", "two", "three")
    ]
    here = "def total(cart, invoice):\n    return one(two(three(cart, invoice)))|\n"
    recent = chunk("file:///w/recent.py", "total(cart, invoice)\n" * 3 + "cart.invoice = invoice\n")
    budget = Budget(num_snippets=4, snippet_chars=400, total_chars=800)
    assert "recent.py" in paths(
        gather(scene_of(here, "file:///w/here.py", *definitions, ring=(recent,), budget=budget), None)
    )


def test_a_share_that_nobody_wants_is_used():
    definitions = [
        opened(f"file:///w/d{name}.py", f"def {name}(x):\n    y = '{name * 40}'\n") for name in ("one", "two", "six")
    ]
    here = "def total(cart):\n    return one(two(six(cart)))|\n"
    budget = Budget(num_snippets=4, snippet_chars=200, total_chars=600)
    found = gather(scene_of(here, "file:///w/here.py", *definitions, budget=budget), None)
    assert len([snippet for snippet in found if snippet.text.startswith("def ")]) == 3


LINE = st.sampled_from(
    [
        "def price_of(cart):",
        "    return cart",
        "",
        "invoice = Invoice(cart)",
        "x" * 90,
        "y = '😀é'",
        "\tcart.invoice",
        "\x0c",
    ]
)
TEXT = st.lists(LINE, max_size=40).map("\n".join)


@example(["def price_of(cart):"], 1, 67, 67, "\n", "very/" * 20 + "deep.py")  # its only line has no end
@given(
    st.lists(TEXT, max_size=4),
    st.integers(0, 5),
    st.integers(0, 300),
    st.integers(0, 600),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["a.py", "very/" * 20 + "deep.py"]),
)
def test_the_budget_is_never_exceeded(texts, num_snippets, snippet_chars, total_chars, newline, name):
    documents = [opened(f"file:///w/{number}{name}", text.replace("\n", newline)) for number, text in enumerate(texts)]
    budget = Budget(num_snippets, snippet_chars, total_chars)
    scene = scene_of(HERE, "file:///w/here.py", *documents, budget=budget)
    found = gather(scene, None)
    sizes = [len(snippet.path) + 1 + len(snippet.text) for snippet in found]
    assert len(found) <= num_snippets
    assert sum(sizes) <= total_chars
    assert all(size <= snippet_chars for size in sizes)
    sources = {line for text in (*texts, HERE.replace("|", "")) for line in text.split("\n")}
    assert all(line in sources for snippet in found for line in snippet.text.removesuffix("\n").split("\n"))


def test_special_tokens_and_hostile_names_are_only_text(tmp_path):
    text = "def price_of(cart):  # <eom> <file> <|endoftext|> =======\n    return '<suf><pre>'\n"
    document = opened("file:///w/a%0A%3Ceom%3E.py", text)
    (snippet,) = gather(scene_of(HERE, "file:///w/here.py", document), None)
    assert snippet.text == text
    assert snippet.path == "a_<eom>.py"


def test_huge_and_minified_texts_are_left_out():
    minified = opened("file:///w/min.py", "price_of=lambda cart:" + "cart+" * 400 + "0\n")
    huge = opened("file:///w/huge.py", PRICE * 10_000)
    assert gather(scene_of(HERE, "file:///w/here.py", minified, huge), None) == ()


def test_the_same_scene_gives_the_same_snippets(tmp_path):
    files = put(tmp_path, {"shop.py": INVOICE, "b.py": PRICE, "c.py": PRICE.replace("sum", "max")})
    assert gather(on_disk(tmp_path), files) == gather(on_disk(tmp_path), ProjectFiles(str(tmp_path)))


def test_the_window_is_that_of_the_prompt():
    scene = scene_of(HERE)
    assert prompt_window(scene.snapshot, scene.context_tokens).prefix.startswith("from shop")
    assert set(CLASSES) == {"definition", "recent", "open", "file"}


def test_where_one_snippet_fits_it_is_the_most_similar_of_all_and_no_definition():
    one = Budget(num_snippets=1, snippet_chars=200, total_chars=200)
    similar = opened("file:///w/price.py", "amount = price_of(Invoice(cart).cart)\ntotal(invoice)\n")
    vague = chunk("file:///w/recent.py", "cart = 1\n")
    found = gather(scene_of(HERE, "file:///w/here.py", similar, ring=(vague,), budget=one), None)
    assert [snippet.path for snippet in found] == ["price.py"]
