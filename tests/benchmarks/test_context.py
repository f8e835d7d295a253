"""The comparison of ways to give context, and the projects that it reads."""

import pytest

from benchmarks.context import Question, Written, report, scaled, snippets_at, typed_questions, ways, write_projects
from benchmarks.options import run
from lsp_server.context.budget import Budget
from lsp_server.context.files import ProjectFiles
from lsp_server.context.reach import Reach
from model.evaluation.decode import Place

BUDGET = Budget(num_snippets=2, snippet_chars=140, total_chars=280)


def written(is_right: bool, forwards: int) -> Written:
    return Written(is_right=is_right, similarity=float(is_right), forwards=forwards, has_more=True)


def test_every_way_is_compared_with_the_plain_prompt_place_by_place(capsys):
    plain = [written(False, 4), written(True, 4), written(False, 6)]
    result = report({"plain": plain, "more": [written(True, 2), written(True, 4), written(False, 3)]}, ["a", "a", "b"])
    assert result["all, plain"]["right_difference"] == (0.0, 0.0, 0.0)
    assert result["a, more"]["right_difference"][0] == 0.5
    assert result["b, more"]["forwards_difference"] == (-3.0, -3.0, -3.0)
    assert result["all, more"]["right"] == pytest.approx(2 / 3)
    assert "all: 3 places" in capsys.readouterr().out


def test_budgets_are_those_of_the_server_and_fractions_of_them():
    assert next(iter(ways(BUDGET))) == "plain"
    assert ways(BUDGET)["snippets"] == (BUDGET, False)
    assert scaled(BUDGET, 0.5).total_chars == 140
    assert scaled(BUDGET, 2.0).snippet_chars == 280


def test_snippets_come_from_the_places_neighbours_and_never_from_its_own_file_on_disk(tmp_path):
    shop = "def total_price(prices):\n    return sum(prices)\n"
    own = "from shop.prices import total_price\n\n\ndef bill(prices):\n    amount = total_price(prices)\n"
    write_projects([("shop/prices.py", shop), ("shop/bill.py", own)], tmp_path)
    place = Place(path="shop/bill.py", before=own[: own.rindex("total_price")], after="\n", gold="total_price(prices)")
    snippets = snippets_at(Question("new", place, place), BUDGET, ProjectFiles(str(tmp_path)), Reach())
    assert [snippet.path for snippet in snippets] == ["shop/prices.py"]
    assert "total_price" in snippets[0].text


def test_keystrokes_know_nothing_of_what_comes_and_their_snippets_nothing_of_the_last_lines(tmp_path):
    text = "".join(f"value_{number} = make(number_{number}, {number})\n" for number in range(40))
    documents = [(f"shop/{name}.py", text) for name in "abcdefg"] + [("other/a.py", text)]
    questions = list(typed_questions(documents, 12))
    assert len(questions) == 12
    for question in questions:
        place, pause = question.place, question.chosen_at
        assert place.after == ""
        assert place.gold.strip()
        assert place.before + place.gold in text  # nothing of the line is lost
        assert place.before.startswith(pause.before)
        assert place.before.count("\n") - pause.before.count("\n") <= 4
        assert len(question.visited) == (5 if place.path.startswith("shop/") else 0)
        assert place.path not in [path for path, _, _ in question.visited]
    assert questions == list(typed_questions(documents, 12))


def test_visited_files_are_quoted_as_open_documents(tmp_path):
    shop = "def total_price(prices):\n    return sum(prices)\n"
    place = Place(path="shop/bill.py", before="amount = total_price(", after="", gold="prices)")
    asked = Question("typed", place, place, (("shop/prices.py", shop, 1),))
    files = ProjectFiles(str(tmp_path))  # nothing on disk
    assert [snippet.path for snippet in snippets_at(asked, BUDGET, files, Reach())] == ["shop/prices.py"]


def test_without_data_it_says_so(monkeypatch, capsys):
    from benchmarks.context import main

    monkeypatch.setattr("sys.argv", ["context"])
    assert run(main) == 2
    assert "--shards" in capsys.readouterr().err
