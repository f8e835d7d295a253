"""The operation diffusion_loss: see README.md; `reference.py` is the truth."""
