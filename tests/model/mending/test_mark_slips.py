"""Every bracket, colon, quote and keyword of code, once lost and once written twice."""

from model.mending.mark_slips import KINDS, mark_slips
from model.training.syntax_slips import apply_slip

TEXT = 'if a[0] in {"k": \'v\'}:  # if (x):\n    """Not if: (that)."""\n'


def made(kind: str) -> list[str]:
    return [apply_slip(TEXT, slip) for slip in mark_slips(TEXT) if slip.kind == kind]


def test_each_place_has_both_slips() -> None:
    slips = mark_slips(TEXT)
    assert {slip.kind for slip in slips} == set(KINDS)
    assert [slip.start for slip in slips] == sorted(slip.start for slip in slips)
    deleted = [slip for slip in slips if slip.kind.startswith("deleted")]
    assert 2 * len(deleted) == len(slips)
    assert all(apply_slip(TEXT, slip) != TEXT for slip in slips)


def test_keywords_go_with_their_blank_and_come_with_one() -> None:
    assert [text.split("\n")[0] for text in made("deleted keyword")] == [
        "a[0] in {\"k\": 'v'}:  # if (x):",
        "if a[0] {\"k\": 'v'}:  # if (x):",
    ]
    assert made("doubled keyword")[0].startswith("if if a[0] in")


def test_of_a_string_only_the_quotes_count() -> None:
    texts = made("deleted quote")
    assert len(texts) == 6
    assert texts[0] == TEXT.replace('"k"', 'k"')
    assert texts[-1] == TEXT.replace('(that)."""', '(that).""')
    assert len(made("deleted bracket")) == 4
    assert made("doubled colon") == [TEXT.replace('"k":', '"k"::'), TEXT.replace("}:", "}::")]
