"""How a run of the first stages begins: a fresh network, one with the weights of another, or where it was left.

Sentences for everything that does not fit together. Left out: the loop (trainer.py).
"""

import hashlib
from functools import partial
from pathlib import Path

import torch

from model.checkpoints.from_hf import converted_tokenizer, network_from
from model.checkpoints.hf_tokenizer import ConvertedTokenizer, UnusableTokenizer
from model.checkpoints.load import CheckpointError, load_checkpoint
from model.network.transformer import Transformer
from model.tokenizer import Tokenizer
from model.training.compiled_forward import compiled_or_eager
from model.training.optimizers import make_optimizers
from model.training.processes import Processes
from model.training.run_state import Counters, Identity, RunState, TrainError, load_run
from model.training.sharding import shard_network
from model.training.stream import Stream
from model.training.train_options import TrainOptions
from model.training.two_stream import Forward, RunLayer, checkpointed, two_stream_hidden, two_stream_layer


def begin(options: TrainOptions, stream: Stream, processes: Processes) -> tuple[RunState, Forward]:
    """The run as it stands, and its forward for batches of any shape."""
    tokenizer = stream.tokenizer
    if options.rows % options.micro_rows:
        raise TrainError(f"rows ({options.rows}) must be a multiple of micro rows ({options.micro_rows})")
    if options.rows // options.micro_rows % processes.size:
        raise TrainError(
            f"rows ({options.rows}) must be a multiple of micro rows times processes "
            f"({options.micro_rows} times {processes.size})"
        )
    if options.network.vocab_size != tokenizer.vocab_size:
        raise TrainError(
            f"the network has a vocabulary of {options.network.vocab_size}, the shards one of {tokenizer.vocab_size}"
        )
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainError(f"cannot make the folder {options.out} ({error.strerror})") from None
    if not options.resume and (options.out / "resume.safetensors").exists():
        raise TrainError(f"{options.out} already holds a run; go on with --resume or name another folder")
    torch.manual_seed(options.seed)
    network = Transformer(options.network)
    if not options.resume and options.start_from is not None:
        _take_weights(network, options.start_from, tokenizer.sha256)
    elif not options.resume and options.init is not None:
        _take_foreign(network, options.init, tokenizer)
    forward = _forward_of(network, options, processes)
    identity = Identity(
        network=options.network,
        tokenizer_sha256=tokenizer.sha256,
        seed=options.seed,
        rows=options.rows,
        micro_rows=options.micro_rows,
        clean_tokens=options.clean_tokens,
        noisy_tokens=options.noisy_tokens,
    )
    state = RunState(network, make_optimizers(network), identity, Counters())
    if options.resume:
        load_run(state, options.out, options.ema_decay)
    return state, forward


def _forward_of(network: Transformer, options: TrainOptions, processes: Processes) -> Forward:
    """Moves the network to its device, in pieces where there are several processes."""
    run_layer: RunLayer = two_stream_layer
    if processes.mesh is None:
        network.to(options.device)
        return (
            partial(two_stream_hidden, run_layer=checkpointed(run_layer))
            if options.checkpointing
            else two_stream_hidden
        )
    if options.compile:  # layer by layer: gathering stands between them
        run_layer = compiled_or_eager(run_layer)
    return shard_network(
        network, processes.mesh, checkpointed(run_layer) if options.checkpointing else run_layer, bf16=options.bf16
    )


def foreign_tokenizer(folder: Path, own: Tokenizer) -> ConvertedTokenizer:
    """The converted tokenizer of a Hugging Face checkpoint; TrainError unless the shards were made with it."""
    try:
        tokenizer = converted_tokenizer(folder, own.vocab_size)
    except (CheckpointError, UnusableTokenizer) as error:
        raise TrainError(str(error).rstrip(".")) from None
    if hashlib.sha256(tokenizer.text.encode()).hexdigest() != own.sha256:
        raise TrainError(
            f"the shards were not made with the tokenizer of {folder}: make it with seedling tokenizer convert, "
            "and the shards with seedling corpus build --tokenizer"
        )
    return tokenizer


def _take_foreign(network: Transformer, folder: Path, tokenizer: Tokenizer) -> None:
    try:
        network.load_state_dict(network_from(folder, foreign_tokenizer(folder, tokenizer)).state_dict())
    except CheckpointError as error:
        raise TrainError(str(error).rstrip(".")) from None


def _take_weights(network: Transformer, folder: Path, tokenizer_sha256: str) -> None:
    """The weights of a checkpoint of the same shape and tokenizer; else TrainError."""
    try:
        checkpoint = load_checkpoint(folder)
    except CheckpointError as error:
        raise TrainError(str(error)) from None
    if checkpoint.preset.network != network.config:
        raise TrainError(f"{folder} has another shape of network than the one asked for")
    if checkpoint.tokenizer.sha256 != tokenizer_sha256:
        raise TrainError(f"{folder} was trained with another tokenizer than that of the shards")
    network.load_state_dict(checkpoint.network.state_dict())
