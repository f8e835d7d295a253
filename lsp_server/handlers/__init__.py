"""LSP handlers: one method family a file; snapshot, call a feature, reply."""
