"""An engine says of itself what its preset says, field by field."""

import msgspec

from model.checkpoints.presets import Preset
from model.engine.abilities import capabilities_of
from model.network.config import tiny_test


def test_every_ability_is_the_presets() -> None:
    preset = Preset(
        name="toy",
        network=tiny_test(),
        languages=("rust",),
        complete=("line", "block"),
        rewrite="listed",
        edits_listed=("idiom", "debug"),
        fix=True,
        next_edit=True,
        context_tokens=77,
    )
    found = msgspec.structs.asdict(capabilities_of(preset, "cuda:1"))
    assert not found.pop("mend")  # the calibration's to say: test_repairs.py
    assert found.pop("device") == "cuda:1"
    assert found.pop("model") == "toy"
    assert found.pop("api") >= 2
    assert found == {name: getattr(preset, name) for name in found}


def test_a_list_of_edits_that_is_empty_is_no_ability() -> None:
    preset = Preset(name="toy", network=tiny_test(), rewrite="listed")
    assert capabilities_of(preset, "cpu").rewrite == "none"
    assert capabilities_of(msgspec.structs.replace(preset, edits_listed=("fix",)), "cpu").rewrite == "listed"
    assert capabilities_of(msgspec.structs.replace(preset, rewrite="free"), "cpu").rewrite == "free"
