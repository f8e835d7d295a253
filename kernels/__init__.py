"""One folder per operation: a plain torch reference (the truth) and, later, a Triton kernel."""
