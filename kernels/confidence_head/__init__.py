"""The operation confidence_head: see README.md; `reference.py` is the truth."""
