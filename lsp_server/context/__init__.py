"""What stands around the cursor: prompt windows, snippets, exclusions."""
