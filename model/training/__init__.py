"""Training: corpus, trainer, and the stages of the recipe."""
