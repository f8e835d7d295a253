"""The transformer: configuration, one module, KV cache, one-pass forward."""
