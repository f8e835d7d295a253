"""Checkpoints: presets as data, loading and saving of safetensors."""
