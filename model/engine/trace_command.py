"""`seedling trace FILE:LINE[:COL]`: one completion in this process, step by step, as text, JSON or an SVG picture.

For documents and for looking at what the sampler did. The prompt is built by the engine's own code; the text is always
denoised in blocks, also where the engine would speculate with this checkpoint (writing.py). Left out: the language
server's windows and filters (`seedling complete` has them), and the live view.
"""

import argparse
import sys
from pathlib import Path

from model.engine import api


class TraceError(Exception):
    """A wrong argument, in one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="FILE:LINE[:COL]", help="where the cursor stands; the line's end by default")
    parser.add_argument("--stop", choices=("line", "node", "eom"), default="line", help="where the text ends")
    parser.add_argument("--tau", type=float, default=None, help="threshold of unmasking (default: the checkpoint's)")
    parser.add_argument("--model", type=Path, default=None, help="checkpoint folder (default: the embedded one)")
    parser.add_argument("--svg", type=Path, default=None, help="write an animated picture")
    parser.add_argument("--strip", action="store_true", help="with --svg: frames below each other, no animation")
    parser.add_argument("--json", type=Path, default=None, help="write the recorded trajectory")


def run(args: argparse.Namespace) -> int:
    """Prints the trajectory; 0 = done. Raises TraceError, BadRequest or CheckpointError, all with a
    sentence.
    """
    import msgspec

    from model.checkpoints.load import default_checkpoint, load_checkpoint
    from model.diffusion.render import svg
    from model.diffusion.steps import run_alone
    from model.diffusion.steps_for import steps_for
    from model.diffusion.trajectory import encode_trajectory, plain_text, record
    from model.engine.prompting import LineEncoder, prepare
    from model.engine.stopping import stop_for
    from model.network.kv_cache import KVCache

    prompt = prompt_at(args.place)
    checkpoint = load_checkpoint(args.model or default_checkpoint())
    network, tokenizer = checkpoint.network, checkpoint.tokenizer
    request = api.DenoiseRequest(id="trace", prompt=prompt, stop=args.stop)
    prepared = prepare(request, checkpoint.preset, tokenizer, LineEncoder(tokenizer))
    policy = prepared.policy if args.tau is None else msgspec.structs.replace(prepared.policy, tau_mask=args.tau)
    typed = prepared.taken_back.typed if prepared.taken_back else b""
    steps = steps_for(
        KVCache(checkpoint.preset.network, dtype=network.head_weight.dtype),
        prepared.prompt_ids,
        prepared.canvas,
        policy,
        after_ids=prepared.after_ids,
        first_token_prefix=prepared.taken_back,
        finished=stop_for(prepared, request, tokenizer.token_bytes),
    )
    frames = run_alone(network, steps)
    line = prompt.line.encode()
    before = line[: len(line) - len(typed)].decode("utf-8", "replace")  # a healed token stands in the canvas
    trajectory = record(tokenizer, frames, before=before)
    print(plain_text(trajectory), end="")
    _write(args.json, encode_trajectory(trajectory))
    if args.svg is not None:
        _write(args.svg, svg(trajectory, animated=not args.strip).encode())
    return 0


def prompt_at(place: str) -> api.Prompt:
    """The whole file around the cursor as a prompt (the engine trims it). Raises TraceError."""
    from model.engine.prompting import prompt_around

    name, _, numbers = place.partition(":")
    fields = numbers.split(":")
    if not name or len(fields) > 2 or not all(field.isdecimal() and int(field) > 0 for field in fields):
        raise TraceError(f"{place!r} is not FILE:LINE or FILE:LINE:COL, both counted from 1")
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{name} cannot be read as text ({error})") from None
    lines = text.split("\n")
    row = int(fields[0]) - 1
    if row >= len(lines):
        raise TraceError(f"{name} has lines 1 to {len(lines)}, so there is no line {row + 1}")
    column = int(fields[1]) - 1 if len(fields) == 2 else len(lines[row])
    if column > len(lines[row]):
        raise TraceError(f"line {row + 1} of {name} has no column {column + 1}")
    cursor = sum(len(line) + 1 for line in lines[:row]) + column
    return prompt_around(Path(name).name, text[:cursor], text[cursor:])


def _write(path: Path | None, data: bytes) -> None:
    if path is None:
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise TraceError(f"{path} cannot be written ({error.strerror})") from None
    print(f"wrote {path}", file=sys.stderr)
