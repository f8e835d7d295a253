"""Networks for tests: small, fp32, seeded, with a state table that is not zero (otherwise states would not matter)."""

import pytest
import torch

from model.network.config import NetworkConfig, tiny_test
from model.network.transformer import Transformer


def seeded_network(config: NetworkConfig, seed: int = 0) -> Transformer:
    """A network in evaluation mode whose weights are large enough that every row's prediction is its own."""
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Transformer(config).eval()
        for name, parameter in network.named_parameters():
            if name == "state_table" or name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.5)
            elif "norm" in name:
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
            else:
                parameter.data.mul_(2.0)
    return network


@pytest.fixture(scope="session")
def make_network():
    """The function that makes a seeded network of a given shape."""
    return seeded_network


@pytest.fixture
def tiny_network() -> Transformer:
    return seeded_network(tiny_test())
