"""The four states of a position, shared by training and sampling.

Source: the state vectors of this project's own models (the Seed Diffusion paper trains no state input). A noisy row
adds one of three learned vectors to its embedding; a row of the clean stream adds nothing.
Left out: how states change while sampling (moves.py) and the vectors themselves (network/transformer.py).
"""

CLEAN = 0  # a row of the causal clean stream
MASKED = 1  # to be written; its token is <mask>
DRAFT = 2  # visible, may be wrong
LOCKED = 3  # visible, must not change
