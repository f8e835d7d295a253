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
        fix=True,
        mend=True,
        next_edit=True,
        context_tokens=77,
    )
    found = msgspec.structs.asdict(capabilities_of(preset, "cuda:1"))
    assert found.pop("device") == "cuda:1"
    assert found.pop("model") == "toy"
    assert found.pop("api") >= 2
    assert found == {name: getattr(preset, name) for name in found}
