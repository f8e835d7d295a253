"""The operation block_attention: see README.md; `reference.py` is the truth."""
