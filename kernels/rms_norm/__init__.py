"""The operation rms_norm: see README.md; `reference.py` is the truth."""
