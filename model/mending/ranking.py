"""Which proposal is right, if any: a multinomial logit over a line's proposals and "leave it as it is".

One number a proposal, features · weights; the line as it is has 0. Weights are fitted by Newton's method on damaged and
sound lines (practice.py); thresholds come from sound lines alone (calibrate.py), since faults are a thousand times
rarer in real text. Source: the conditional logit (McFadden, 1974). Left out: the features (study.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from model.checkpoints.load import CheckpointError
from model.mending.study import FEATURES, Proposal

FILE = "mending.json"
PENALTY = 1.0
MAX_STEPS = 40


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored beside the weights of a checkpoint.

    weights: by feature. fix_threshold, mend_threshold: least number of a repair that is shown where a line is named,
    and where none is (None = nothing is looked for). doubt_threshold: least doubt of the edit head that makes a line
    worth a look. fitted_on: what, and how much of it.
    """

    weights: dict[str, float]
    fix_threshold: float
    mend_threshold: float | None
    doubt_threshold: float
    fitted_on: dict[str, str | float] = {}

    @property
    def fits(self) -> bool:
        """Whether it was made by this version's features."""
        return tuple(self.weights) == FEATURES


class Best(NamedTuple):
    """score: of the best proposal; confidence: its probability beside all others and the line as it is."""

    proposal: Proposal
    score: float
    confidence: float


def load_calibration(folder: Path) -> Calibration | None:
    """The calibration beside a checkpoint's weights; None if there is none, or one of another version.

    Raises CheckpointError with a sentence for a damaged file.
    """
    path = Path(folder) / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        found = msgspec.json.decode(data, type=Calibration)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not a calibration of this program: {error}.") from error
    return found if found.fits else None


def save_calibration(folder: Path, calibration: Calibration) -> Path:
    """Writes it beside the weights, in one step."""
    path = Path(folder) / FILE
    part = path.with_name(path.name + ".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n")
    part.replace(path)
    return path


def best_of(proposals: Sequence[Proposal], weights: np.ndarray) -> Best | None:
    """The likeliest proposal; None if there is none."""
    if not proposals:
        return None
    scores = np.stack([proposal.features for proposal in proposals]) @ weights
    best = int(scores.argmax())
    top = max(float(scores[best]), 0.0)
    total = np.exp(scores - top).sum() + np.exp(-top)
    return Best(proposals[best], float(scores[best]), float(np.exp(scores[best] - top) / total))


class Group(NamedTuple):
    """The proposals' features of one line and the index of the right one; -1 = the line is right as it is."""

    features_NF: np.ndarray
    right: int


def fit(groups: Sequence[Group], *, penalty: float = PENALTY) -> np.ndarray:
    """The weights (F,) under which the right choices are likeliest, less penalty/2 · |weights|²."""
    assert groups, "nothing to fit on"
    weights_F = np.zeros(groups[0].features_NF.shape[1])
    loss = _loss(groups, weights_F, penalty)
    for _ in range(MAX_STEPS):
        gradient_F, hessian_FF = _derivatives(groups, weights_F, penalty)
        step_F = np.linalg.solve(hessian_FF, gradient_F)
        scale = 1.0
        while _loss(groups, weights_F - scale * step_F, penalty) > loss and scale > 1e-4:
            scale /= 2
        weights_F = weights_F - scale * step_F
        before, loss = loss, _loss(groups, weights_F, penalty)
        if before - loss < 1e-6 * abs(before):
            break
    return weights_F


def _loss(groups: Sequence[Group], weights_F: np.ndarray, penalty: float) -> float:
    total = penalty / 2 * float(weights_F @ weights_F)
    for features_NF, right in groups:
        scores = np.append(features_NF @ weights_F, 0.0)
        top = scores.max()
        total += float(top + np.log(np.exp(scores - top).sum()) - scores[right])
    return total


def _derivatives(groups: Sequence[Group], weights_F: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    gradient_F = penalty * weights_F
    hessian_FF = penalty * np.eye(len(weights_F))
    for features_NF, right in groups:
        scores = np.append(features_NF @ weights_F, 0.0)
        p = np.exp(scores - scores.max())
        p = p[:-1] / p.sum()
        mean_F = p @ features_NF
        gradient_F = gradient_F + mean_F - (features_NF[right] if right >= 0 else 0.0)
        hessian_FF += (features_NF * p[:, None]).T @ features_NF - np.outer(mean_F, mean_F)
    return gradient_F, hessian_FF
