"""The gate: how sure an answer has to be before it is shown unasked. Pure.

What is compared with the setting is the probability that the model gives to exactly this text: the geometric mean of
its tokens' probabilities, which is what an engine reports, to the power of their number. It ranks right lines above
wrong ones better than the mean does, which lets long lines of fairly sure tokens through, though their errors add up;
a regression on ten features (kind of place, least and first token, entropy, length) ranked no better. The similar line
of the document (similar_line.py) is a second witness: where it says the same the answer is right far more often than
the model knows, where it says otherwise far less often. Measured on held-out projects at every keystroke of a line
(benchmarks/results/gate.txt). Left out: learning from what the user accepts.
"""

MAX_COUNTED_TOKENS = 16
"""Nearly all lines are shorter. A longer text, a block, need not be right to its end to be worth reading."""
AGREEMENT, DISAGREEMENT = 0.5, 2.0
"""Exponents: 0.25 becomes 0.5 where a similar line says the same, and 0.06 where it says otherwise."""


def certainty(confidence: float, num_tokens: int, *, agrees: bool | None = None) -> float:
    """The probability that an answer is right as it stands, by the model's own reckoning (numbers: `api.Done`) and by
    a similar line: whether that says the same, None where there is none.

    An engine that reports something that is no probability is held to the nearest one.
    """
    probability = min(1.0, max(0.0, confidence)) ** max(1, min(num_tokens, MAX_COUNTED_TOKENS))
    if agrees is None:
        return probability
    return probability ** (AGREEMENT if agrees else DISAGREEMENT)


def agreement(text: str, similar: str) -> bool | None:
    """Whether the first line of the answer `text` is the rest of a similar line; None where there is no such line."""
    return text.strip().partition("\n")[0].rstrip() == similar.strip() if similar.strip() else None
