"""The operation rope_kv_write: see README.md; `reference.py` is the truth."""
