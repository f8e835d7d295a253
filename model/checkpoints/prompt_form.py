"""How a family of foreign weights is asked: its prompts as data.

A form is text with special tokens by name in angle brackets, ⟨bos⟩ (the names of `Preset.special`), and places in
braces, {above}. What stands behind {canvas} is behind the canvas, for networks that see it.
Left out: making ids from it (model/engine/foreign_prompts.py).
"""

import re

import msgspec

PARTS = re.compile(r"⟨(?P<special>\w+)⟩|\{(?P<place>\w+)\}")

HOLE_PLACES = frozenset({"context", "above", "below", "below_as_comment", "path", "language", "canvas"})
CHAT_PLACES = frozenset({"question", "language", "canvas"})


class PromptForm(msgspec.Struct, frozen=True, kw_only=True):
    """hole: how code is completed; None = the weights were not trained to write in the middle of code.
    chat: how an edit is asked for in words; None = the weights were not trained to follow instructions.

    Places of a hole: context (other files, as comments), path, language, above and below (the code around the cursor),
    below_as_comment (for networks that see nothing behind the canvas and know no markers for it), canvas. Places of a
    chat: question (the task with the code, in words of ours), language, canvas; the text between the last special token
    and the canvas belongs to the answer (a fence that is open already). Raises ValueError with one sentence.
    """

    hole: str | None = None
    chat: str | None = None

    def __post_init__(self) -> None:
        for name, form, known in (("hole", self.hole, HOLE_PLACES), ("chat", self.chat, CHAT_PLACES)):
            if form is None:
                continue
            places = [match["place"] for match in PARTS.finditer(form) if match["place"]]
            foreign = next((place for place in places if place not in known), None)
            if foreign is not None:
                raise ValueError(f"the form of a {name} has no place {foreign}")
            wanted = "question" if name == "chat" else "above"
            for place in ("canvas", wanted):
                if places.count(place) != 1:
                    raise ValueError(f"the form of a {name} needs exactly one place {place}")

    @property
    def special_names(self) -> frozenset[str]:
        """The special tokens that the forms name."""
        forms = (self.hole or "") + (self.chat or "")
        return frozenset(match["special"] for match in PARTS.finditer(forms) if match["special"])
