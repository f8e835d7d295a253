"""What an engine says of itself: a checkpoint's preset and calibration as the border's Capabilities.

Left out: where they are sent.
"""

from model.checkpoints.presets import Preset
from model.engine import api
from model.mending.ranking import Calibration


def capabilities_of(preset: Preset, device: str, calibration: Calibration | None = None) -> api.Capabilities:
    """The capabilities of a checkpoint that runs on `device`; calibrated weights that can edit repair."""
    repairs = calibration if preset.sampling.edits == "insert-delete" else None
    if preset.prompt is not None:
        return _of_foreign(preset, device)
    return api.Capabilities(
        api=api.API_VERSION,
        model=preset.name,
        device=device,
        languages=preset.languages,
        complete=preset.complete,
        rewrite="none" if preset.rewrite == "listed" and not preset.edits_listed else preset.rewrite,
        fix=preset.fix or repairs is not None,
        mend=repairs is not None and repairs.mend_threshold is not None,
        next_edit=preset.next_edit,
        context_tokens=preset.context_tokens,
        edits_listed=preset.edits_listed,
    )


def _of_foreign(preset: Preset, device: str) -> api.Capabilities:
    """What the forms of its prompts allow. A fix is a rewrite with the diagnostic as the instruction. Mistakes are not
    looked for: no calibration says when such weights are sure of one.
    """
    form = preset.prompt
    assert form is not None
    return api.Capabilities(
        api=api.API_VERSION,
        model=preset.name,
        device=device,
        languages=preset.languages,
        complete=preset.complete if form.hole is not None else (),
        rewrite="free" if form.chat is not None else "none",
        fix=form.chat is not None,
        mend=False,
        next_edit=False,
        context_tokens=preset.context_tokens,
    )


def trial_request(preset: Preset) -> api.DenoiseRequest:
    """The least that such a checkpoint is ever asked: for a first try."""
    if preset.prompt is None or preset.prompt.hole is not None:
        return api.DenoiseRequest(id="trial", prompt=api.Prompt(line="value = "), canvas=(api.Masked(max_tokens=4),))
    prompt = api.Prompt(instruction="Add 1.")
    return api.DenoiseRequest(id="trial", prompt=prompt, canvas=(api.Draft("value = 1"),), max_steps=4)
