"""Forms of prompts: what makes none is refused, and those of all families name only tokens that their families have."""

import pytest

from model.checkpoints.families import all_families
from model.checkpoints.prompt_form import PromptForm


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hole": "{above}"}, "needs exactly one place canvas"),
        ({"hole": "{canvas}"}, "needs exactly one place above"),
        ({"hole": "{above}{canvas}{suffix}"}, "no place suffix"),
        ({"chat": "{canvas}{canvas}{question}"}, "needs exactly one place canvas"),
        ({"chat": "{canvas}"}, "needs exactly one place question"),
        ({"chat": "{question}{above}{canvas}"}, "no place above"),
    ],
)
def test_a_form_that_makes_no_prompt_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        PromptForm(**fields)


def test_names_of_special_tokens():
    form = PromptForm(hole="⟨bos⟩{above}{canvas}⟨eom⟩", chat="⟨im_start⟩{question}⟨eom⟩{canvas}")
    assert form.special_names == {"bos", "eom", "im_start"}


@pytest.mark.parametrize("family", all_families(), ids=lambda family: family.name)
def test_a_familys_forms_name_tokens_that_it_has(family):
    assert family.prompt is not None
    assert family.prompt.hole or family.prompt.chat
    assert family.prompt.special_names <= family.special.keys()
    # What stands behind the canvas is seen by networks of full attention alone.
    for form in (family.prompt.hole, family.prompt.chat):
        assert family.attention == "full" or form is None or form.endswith("{canvas}")
