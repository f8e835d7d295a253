"""Measuring a checkpoint: infilling, held-out text, edits, speed. What each command measures: docs/evaluation.md."""
