"""The operation swiglu: see README.md; `reference.py` is the truth."""
