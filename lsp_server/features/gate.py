"""The gate: how sure an answer has to be before it is shown unasked. Pure.

What is compared with the setting is the probability that the model gives to exactly this text: the geometric mean of
its tokens' probabilities, which is what an engine reports, to the power of their number. No coefficient of one model
stands in it. Measured on held-out projects at every keystroke of a line (benchmarks/results/gate.txt): it ranks right
lines above wrong ones better than the mean does, which lets long lines of fairly sure tokens through, though their
errors add up; a regression on ten features (kind of place, least and first token, entropy, length) ranked no better.
Left out: learning from what the user accepts.
"""

MAX_COUNTED_TOKENS = 16
"""Nearly all lines are shorter. A longer text, a block, need not be right to its end to be worth reading."""


def certainty(confidence: float, num_tokens: int) -> float:
    """The probability, by the model's own reckoning, that an answer is right as it stands (numbers: `api.Done`).

    An engine that reports something that is no probability is held to the nearest one.
    """
    return min(1.0, max(0.0, confidence)) ** max(1, min(num_tokens, MAX_COUNTED_TOKENS))
