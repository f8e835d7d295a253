"""The network, its diffusion process, its training, and the engine that keeps it resident."""
