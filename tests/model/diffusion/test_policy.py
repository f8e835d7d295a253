import pytest

from model.diffusion.policy import Policy


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"block": 4097}, "block must be between 1 and 4096"),
        ({"first_block": 0}, "first_block must be"),
        ({"temperature": -1.0}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"extra_edit_steps": -1}, "extra_edit_steps"),
        ({"max_steps": -1}, "max_steps"),
        ({"steps_per_block": 0}, "steps_per_block"),
    ],
)
def test_a_wrong_policy_is_refused_with_a_sentence(kwargs, sentence):
    with pytest.raises(ValueError, match=sentence):
        Policy(**kwargs)


def test_the_defaults_are_a_greedy_completion_without_edits():
    policy = Policy()
    assert (policy.edits, policy.temperature, policy.extra_edit_steps) == ("none", 0.0, 0)
