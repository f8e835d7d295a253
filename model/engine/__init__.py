"""The engine: an ASGI app around one resident model. Only `api` is imported by the language server."""
