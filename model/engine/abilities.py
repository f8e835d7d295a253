"""What an engine says of itself: a checkpoint's preset as the border's Capabilities. Left out: where they are sent."""

from model.checkpoints.presets import Preset
from model.engine import api


def capabilities_of(preset: Preset, device: str) -> api.Capabilities:
    """The capabilities of a checkpoint that runs on `device`."""
    return api.Capabilities(
        api=api.API_VERSION,
        model=preset.name,
        device=device,
        languages=preset.languages,
        complete=preset.complete,
        rewrite=preset.rewrite,
        fix=preset.fix,
        mend=preset.mend,
        next_edit=preset.next_edit,
        context_tokens=preset.context_tokens,
    )
