"""The language server: speaks LSP, knows editors and text, never imports torch."""
