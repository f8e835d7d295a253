"""Next edit: the follow-up of the last changes, elsewhere in the same document. Pure functions over snapshots."""
