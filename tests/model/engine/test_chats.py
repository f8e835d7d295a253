"""Edits in words as a question to a chat: what it shows, what is cut, what is refused."""

import pytest

from model.engine import api
from model.engine.chats import change_of, chat_prompt, opening_of, question
from model.engine.job import BadRequest

CHAT = "⟨im_start⟩user\n{question}⟨eom⟩\n⟨im_start⟩assistant\n```{language}\n{canvas}"


def edit(draft: str, *, line: str = "", prefix: str = "", suffix: str = "", before: str = "", after: str = "", **more):
    pieces = (api.Locked(before), api.Draft(draft), api.Locked(after))
    prompt = api.Prompt(path="a.py", prefix=prefix, line=line, suffix=suffix, instruction="Rename a to b.", **more)
    return api.DenoiseRequest(id="1", prompt=prompt, canvas=tuple(piece for piece in pieces if piece.text), stop="eom")


def test_the_question_shows_the_code_and_what_stands_around_it():
    request = edit("return a", line="    ", prefix="def f(a):\n", suffix="\nf(1)\n", before="", after="")
    change = change_of(request)
    assert change[:4] == ("def f(a):\n", "    ", "return a", "\nf(1)\n")
    assert change.shown == "    return a"
    text = question(request, "Rename a to b.", change)
    parts = ["a.py", "Above it stands:\n```python\ndef f(a):\n```", "Below it stands:\n```python\n\nf(1)\n```"]
    parts += ["The code to change:\n```python\n    return a\n```", "Instruction: Rename a to b."]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_locked_code_is_context():
    change = change_of(edit("a()\n", prefix="if x:\n", before="    b()\n    ", after="    c()\n"))
    assert (change.above, change.lead, change.draft, change.below) == ("if x:\n    b()\n", "    ", "a()\n", "    c()\n")
    assert change.locked == ("    b()\n    ", "    c()\n")


def test_code_with_fences_stands_between_longer_ones():
    request = edit('"""\n````\n"""\n')
    assert "`````python\n" in question(request, "x", change_of(request))


def test_the_turns_are_the_familys_and_the_answers_fence_is_open(foreign, encoder, read):
    chat = chat_prompt(edit("a = 1\n"), CHAT, foreign, encoder, 2000)
    text = read(chat.filled.before_ids)
    assert text.startswith("⟨im_start⟩user\nChange a piece of code in the file a.py.")
    assert text.endswith("⟨eom⟩\n⟨im_start⟩assistant\n```python\n")
    assert chat.opening == "```python\n"
    assert chat.filled.after_ids == []
    assert opening_of("{question}⟨eom⟩{canvas}", "python") == ""


def test_what_stands_around_is_cut_before_the_code(foreign, encoder, read):
    prefix = "".join(f"name_{i} = other_{i}\n" for i in range(300))
    suffix = "".join(f"later_{i}()\n" for i in range(300))
    chat = chat_prompt(edit("a = 1\n", prefix=prefix, suffix=suffix), CHAT, foreign, encoder, 900)
    text = read(chat.filled.before_ids)
    assert len(chat.filled.before_ids) + chat.max_tokens <= 900
    assert "a = 1\n" in text
    assert "name_299 = other_299\n" in text
    assert "later_0()\n" in text
    assert "name_0 " not in text


def test_code_that_does_not_fit_is_refused_with_numbers(foreign, encoder):
    with pytest.raises(BadRequest, match=r"The code has \d+ tokens; .* context of 600") as error:
        chat_prompt(edit("abc = cde\n" * 100), CHAT, foreign, encoder, 600)
    assert error.value.code == "too_long"


@pytest.mark.parametrize("canvas", [(api.Masked(),), (api.Draft("a"), api.Locked("b"), api.Draft("c")), ()])
def test_other_canvases_are_refused(canvas):
    with pytest.raises(BadRequest, match="one stretch of code"):
        change_of(api.DenoiseRequest(id="1", prompt=api.Prompt(instruction="x"), canvas=canvas))
