"""Other tools' protocols on the engine's app: pure translations to and from the border, one file a protocol."""
