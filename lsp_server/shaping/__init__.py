"""From model text to an item an editor may show: an ordered list of small named filters."""
