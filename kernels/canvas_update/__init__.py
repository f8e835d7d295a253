"""The operation canvas_update: see README.md; `reference.py` is the truth."""
