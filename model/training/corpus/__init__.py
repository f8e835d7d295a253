"""The corpus: permissively licensed Python, filtered, split by project, tokenized."""
