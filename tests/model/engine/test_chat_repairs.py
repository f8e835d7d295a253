"""A repair as a question to a chat. (Through the network: test_foreign_families.py.)"""

from model.engine import api
from model.engine.chat_repairs import NO_MESSAGE, chat_request, instruction_of

TEXT = "import os\n\n\ndef f(x):\n    return y\n\n\nf(1)\n"


def test_the_named_rows_are_rewritten_and_the_rest_stands_around():
    asked = api.RepairRequest(id="7", text=TEXT, path="a.py", first_row=3, last_row=4, messages=("no y",))
    request, start = chat_request(asked)
    assert request.canvas == (api.Draft("def f(x):\n    return y\n"),)
    assert TEXT[start:].startswith("def f(x)")
    assert request.prompt.prefix + "def f(x):\n    return y\n" + request.prompt.suffix == TEXT
    assert request.prompt.path == "a.py"
    assert "no y" in (request.prompt.instruction or "")


def test_what_diagnostics_say_is_something_to_do():
    assert instruction_of(()) == instruction_of(("", " \n")) == NO_MESSAGE
    assert instruction_of(("Undefined\n  name",)).endswith(": Undefined name")
    assert instruction_of(("a", "b", "a")).endswith(":\n- a\n- b")
