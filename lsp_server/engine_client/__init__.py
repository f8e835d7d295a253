"""Finding, launching and talking to the engine process."""
