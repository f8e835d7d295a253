"""Pure functions over a Snapshot: complete, and later rewrite, fix, mend and next edit."""
