"""The diffusion process: canvas, labels, corruption, objective, unmasking, sampler."""
