"""Where a text looks wrong to the edit head: one forward a window, and how much it prefers another label at each token.

A file is tiled with windows of whole lines, at most 63 tokens and the end mark. Each stands as a draft behind a short
prompt of its own surroundings; a token's margin is the log-probability of its best other label (another token, `<del>`
or `<ins>`) less its own. A line scores the largest margin of its tokens of code. Source: this project's own design.
Left out: blind margins (all candidates masked at once), surprisal, the proof by likelihood, the parser, and lines of
more than 63 tokens, which are not judged.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from model.checkpoints.load import Checkpoint
from model.diffusion.objective import allowed_labels
from model.diffusion.policy import MAX_BLOCK
from model.diffusion.states import DRAFT, LOCKED
from model.engine import api
from model.engine.prompting import LineEncoder, prepare
from model.evaluation.decode import Place, place_prompt
from model.lines import lines_of
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.transformer import Transformer
from model.syntax.trees import captures, encode, parse
from model.tokenizer import EOM, PAD, Tokenizer

MAX_WINDOW_TOKENS = MAX_BLOCK - 1
"""The block also holds `<eom>`."""
MAX_BEFORE_TOKENS = 256
MAX_AFTER_TOKENS = 128
BATCH = 8

_QUIET = "[(comment) (string_content)] @quiet"


class Window(msgspec.Struct, frozen=True):
    """Whole lines of a text, characters start..end. rows: the line (from 0) of each token; judged: whether it counts.

    Judged are tokens wholly outside comments and the insides of strings, in lines that hold such a token.
    """

    start: int
    end: int
    ids: tuple[int, ...]
    rows: tuple[int, ...]
    judged: tuple[bool, ...]

    @property
    def judged_rows(self) -> list[int]:
        """The lines that get a score, ascending."""
        return sorted({row for row, judged in zip(self.rows, self.judged, strict=True) if judged})


class Query(msgspec.Struct, frozen=True):
    """A window's ids behind the ids of its prompt."""

    prompt_ids: Sequence[int]
    ids: Sequence[int]


def windows(text: str, tokenizer: Tokenizer, encoder: LineEncoder) -> list[Window]:
    """The windows that tile a text, in order. Lines that are too long stand in none."""
    found: list[Window] = []
    taken: list[_Line] = []
    quiet = _quiet_bytes(text)
    for line in _encoded_lines(text, encoder):
        num_taken = sum(len(other.ids) for other in taken)
        if taken and num_taken + len(line.ids) > MAX_WINDOW_TOKENS:
            found.append(_window(taken, quiet, tokenizer))
            taken = []
        if len(line.ids) <= MAX_WINDOW_TOKENS:
            taken.append(line)
    return [*found, _window(taken, quiet, tokenizer)] if taken else found


def window_query(path: str, text: str, window: Window, checkpoint: Checkpoint, encoder: LineEncoder) -> Query:
    """The window as the engine would be asked to mend it, with a prompt of a few lines around it."""
    context = checkpoint.preset.context_tokens
    # Little enough that the engine has nothing to trim: it would drop lines in jumps.
    before = _last_lines(text[: window.start], min(MAX_BEFORE_TOKENS, context * 9 // 32), encoder)
    after = _first_lines(text[window.end :], min(MAX_AFTER_TOKENS, context // 4), encoder)
    draft = text[window.start : window.end]
    place = Place(path=path, before=before, after=after, gold=draft)
    request = api.DenoiseRequest(id="mend", prompt=place_prompt(place), canvas=(api.Draft(draft),), stop="eom")
    prepared = prepare(request, checkpoint.preset, checkpoint.tokenizer, encoder)
    return Query(prepared.prompt_ids, window.ids)


def margins(network: Transformer, queries: Sequence[Query]) -> list[list[float]]:
    """log p(best other label) - log p(own token) of each token of each window, from one forward for all of them."""
    weight = network.head_weight
    device = weight.device
    prompts_BT, prompt_lengths_B = _padded([query.prompt_ids for query in queries], device)
    tokens_BT, lengths_B = _padded([(*query.ids, EOM) for query in queries], device)
    states_BT = torch.full_like(tokens_BT, DRAFT)
    states_BT[torch.arange(len(queries), device=device), lengths_B - 1] = LOCKED
    banned_V = ~allowed_labels(weight.shape[0])[DRAFT].to(device)
    banned_V[EOM] = True  # the canvas is closed
    with torch.inference_mode():
        cache = KVCache(
            network.config,
            batch_size=len(queries),
            capacity=prompts_BT.shape[1] + tokens_BT.shape[1],
            device=device,
            dtype=weight.dtype,
        )
        _, hidden_BND = one_pass(
            network,
            cache,
            Rows(prompts_BT, None, prompt_lengths_B),
            Rows(tokens_BT, states_BT, lengths_B),
            want_clean=0,
        )
        assert hidden_BND is not None
        logits = network.logits(hidden_BND).float().masked_fill_(banned_V, -torch.inf)
        own_BN1 = logits.gather(2, tokens_BT.unsqueeze(2))
        # The soft-max's denominator is the same for both, so logits will do.
        best_BN1 = logits.scatter_(2, tokens_BT.unsqueeze(2), -torch.inf).amax(dim=2, keepdim=True)
        margin_BN = (best_BN1 - own_BN1).squeeze(2).tolist()
    return [row[: len(query.ids)] for row, query in zip(margin_BN, queries, strict=True)]


def scan(network: Transformer, queries: Iterable[Query]) -> Iterator[list[float]]:
    """`margins` of many windows, some at a time, in order."""
    waiting = iter(queries)
    while batch := list(islice(waiting, BATCH)):
        yield from margins(network, batch)


def line_scores(window: Window, margins_N: Sequence[float]) -> dict[int, float]:
    """The score of each judged line: the largest margin of its judged tokens."""
    scores: dict[int, float] = {}
    for row, judged, margin in zip(window.rows, window.judged, margins_N, strict=True):
        if judged:
            scores[row] = max(margin, scores.get(row, margin))
    return scores


def choose_threshold(scores: Sequence[float], alarms_per_1000: float) -> float:
    """The least threshold that at most so many of 1,000 clean lines are above. ValueError without a score."""
    if not scores:
        raise ValueError("a threshold needs at least one clean line")
    num_allowed = int(len(scores) * alarms_per_1000 / 1000)
    return sorted(scores, reverse=True)[min(num_allowed, len(scores) - 1)]


class _Line(NamedTuple):
    row: int
    start: int
    end: int
    start_bytes: int
    ids: list[int]


def _encoded_lines(text: str, encoder: LineEncoder) -> Iterator[_Line]:
    start = start_bytes = 0
    for row, line in enumerate(lines_of(text)):
        yield _Line(row, start, start + len(line), start_bytes, encoder.line(line))
        start += len(line)
        start_bytes += len(encode(line))


def _window(lines: Sequence[_Line], quiet: np.ndarray, tokenizer: Tokenizer) -> Window:
    ids: list[int] = []
    rows: list[int] = []
    judged: list[bool] = []
    for line in lines:
        texts = [tokenizer.token_bytes[i] for i in line.ids]
        starts = list(accumulate((len(text) for text in texts), initial=line.start_bytes))
        loud = [not quiet[a:b].any() for a, b in pairwise(starts)]
        has_code = any(is_loud and text.strip() for is_loud, text in zip(loud, texts, strict=True))
        ids += line.ids
        rows += [line.row] * len(line.ids)
        judged += [is_loud and has_code for is_loud in loud]
    return Window(lines[0].start, lines[-1].end, tuple(ids), tuple(rows), tuple(judged))


def _quiet_bytes(text: str) -> np.ndarray:
    """bool a byte: inside a comment or the text of a string."""
    tree = parse(text, "python")
    assert tree is not None
    quiet = np.zeros(len(encode(text)), bool)
    for node in captures(tree, _QUIET).get("quiet", []):
        quiet[node.start_byte : node.end_byte] = True
    return quiet


def _last_lines(text: str, budget: int, encoder: LineEncoder) -> str:
    lines = lines_of(text)
    first = len(lines)
    while first > 0 and len(encoder.line(lines[first - 1])) <= budget:
        first -= 1
        budget -= len(encoder.line(lines[first]))
    return "".join(lines[first:])


def _first_lines(text: str, budget: int, encoder: LineEncoder) -> str:
    lines = lines_of(text)
    end = 0
    while end < len(lines) and len(encoder.line(lines[end])) <= budget:
        budget -= len(encoder.line(lines[end]))
        end += 1
    return "".join(lines[:end])


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = [len(row) for row in rows]
    width = max(lengths)
    tokens = [[*row, *[PAD] * (width - len(row))] for row in rows]
    return torch.tensor(tokens, device=device), torch.tensor(lengths, device=device)
