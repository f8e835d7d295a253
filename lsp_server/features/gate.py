"""The gate: how sure an answer has to be before it is shown unasked. Pure.

What is compared with the setting is the probability that the answer is right. By the model's own reckoning that is the
probability that it gives to exactly this text: the geometric mean of its tokens' probabilities, which is what an engine
reports, to the power of their number. It ranks right lines above wrong ones better than the mean does, which lets long
lines of fairly sure tokens through, though their errors add up; a regression on ten features (kind of place, least and
first token, entropy, length) ranked no better. A similar line (similar_line.py) is a second witness. Where it says
something else the answer is right far less often than the model knows. Where it says the same, which the model may
have only let stand, how much alike the two places are tells as much as the model's probability: a logistic regression
on held-out projects, which `./dev bench gate` fits anew (benchmarks/results/gate.txt). Left out: learning from what
the user accepts.
"""

import math

import msgspec

from lsp_server.features.similar_line import Similar

MAX_COUNTED_TOKENS = 16
"""Nearly all lines are shorter. A longer text, a block, need not be right to its end to be worth reading."""
DISAGREEMENT = 2.0
"""Exponent: 0.25 becomes 0.06 where a similar line says otherwise."""


class Weights(msgspec.Struct, frozen=True):
    """Of the regression where a similar line says the same: of 1, of the root of the model's probability, and of the
    two figures of `Similar`.
    """

    base: float
    model: float
    likeness: float
    agreeing: float


AGREEMENT = Weights(-3.5, 2.0, 1.4, 2.5)


class Witness(msgspec.Struct, frozen=True):
    """What a similar line says of an answer: whether it reads the same; likeness, agreeing: those of `Similar`."""

    agrees: bool
    likeness: float
    agreeing: float


def certainty(confidence: float, num_tokens: int, witness: Witness | None = None) -> float:
    """The probability that an answer is right as it stands, by the model's own reckoning (numbers: `api.Done`) and by
    a similar line, where there is one.

    An engine that reports something that is no probability is held to the nearest one.
    """
    probability = min(1.0, max(0.0, confidence)) ** max(1, min(num_tokens, MAX_COUNTED_TOKENS))
    if witness is None:
        return probability
    return agreed(witness, probability) if witness.agrees else probability**DISAGREEMENT


def agreed(witness: Witness, probability: float, weights: Weights = AGREEMENT) -> float:
    """The probability that an answer is right which a similar line says too; `probability`: the model's."""
    score = weights.base + weights.model * math.sqrt(probability)
    score += weights.likeness * witness.likeness + weights.agreeing * witness.agreeing
    return 1 / (1 + math.exp(-score))


def witness(text: str, similar: Similar | None) -> Witness | None:
    """What a similar line says of the answer `text`: whether the first line of it is the rest of that line."""
    if similar is None:
        return None
    agrees = text.strip().partition("\n")[0].rstrip() == similar.rest.strip()
    return Witness(agrees, similar.likeness, similar.agreeing)
