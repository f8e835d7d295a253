"""Tree-sitter: trees, spans, boundaries and the stop rule, shared by training and server."""
