"""What the autoregressive twin writes at many places of a batch: its most probable token, one after the other.

Every place stands in true text. The clean stream of the batch is run once; then each step runs one new clean row a
place, over the keys before the place and its own. Places whose text has ended leave the pass. Source: sequence-level
distillation (Kim and Rush, arXiv 1606.07947) wants the teacher's text, not its probabilities. Left out: learning from
it (certainty.py), sampling, several blocks in a row.

Shapes: B rows of the batch, C clean places, M places to write at (padded), T = keys so far.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.diffusion.states import CLEAN
from model.network.transformer import Transformer
from model.tokenizer import EOM, PAD
from model.training.noisy_pass import clean_keys, more_rows
from model.training.packing import Batch
from model.training.two_stream import rows_of


class Start(NamedTuple):
    """Where to write: batch row, number of the sample in it, position in the sample (from 1), most tokens to write."""

    row: int
    sample: int
    position: int
    num_tokens: int


@torch.no_grad()
def twin_texts(
    network: Transformer, batch: Batch, starts: Sequence[Start], allowed_KV: Tensor, *, bf16: bool
) -> list[list[int]]:
    """The text at each start, of `num_tokens` tokens, or fewer that end in `<eom>`."""
    rows = rows_of(batch, allowed_KV.device)
    keys = clean_keys(network, rows, bf16=bf16)
    texts: list[list[int]] = [[] for _ in starts]
    last = {number: _token_before(batch, start) for number, start in enumerate(starts)}
    owners: list[Tensor] = []  # of the appended keys, (B, columns) number of the start or -1
    while last:
        columns_BM = _columns(last, starts, len(batch.clean_tokens), allowed_KV.device)
        owners.append(columns_BM)
        hidden_BMD, keys = more_rows(
            network, keys, *_new_rows(batch, columns_BM, owners, last, starts, texts), bf16=bf16
        )
        written = _best(network, hidden_BMD[columns_BM >= 0], allowed_KV[CLEAN])
        for number, token in zip(columns_BM[columns_BM >= 0].tolist(), written, strict=True):
            texts[number].append(token)
            last[number] = token
            if token == EOM or len(texts[number]) == starts[number].num_tokens:
                del last[number]
    return texts


def _token_before(batch: Batch, start: Start) -> int:
    here = (batch.clean_sample[start.row] == start.sample) & (batch.clean_positions[start.row] == start.position - 1)
    [token] = batch.clean_tokens[start.row][here].tolist()
    return token


def _columns(going: dict[int, int], starts: Sequence[Start], num_rows: int, device: torch.device) -> Tensor:
    """(B, M) the starts that go on, by batch row, padded with -1."""
    by_row: list[list[int]] = [[] for _ in range(num_rows)]
    for number in going:
        by_row[starts[number].row].append(number)
    width = max(len(numbers) for numbers in by_row)
    return torch.tensor([[*numbers, *[-1] * (width - len(numbers))] for numbers in by_row], device=device)


def _new_rows(
    batch: Batch,
    columns_BM: Tensor,
    owners: Sequence[Tensor],
    last: dict[int, int],
    starts: Sequence[Start],
    texts: Sequence[Sequence[int]],
) -> tuple[Tensor, Tensor, None, Tensor]:
    """Tokens, positions, no states and mask of one step: the row of the last token of each place.

    The row before a place is run again as the first of its own rows; the mask hides its older self.
    """
    device = columns_BM.device
    numbers = columns_BM.tolist()
    tokens = [[PAD if n < 0 else last[n] for n in row] for row in numbers]
    first = [[0 if n < 0 else starts[n].position - 1 for n in row] for row in numbers]
    positions = [[0 if n < 0 else starts[n].position - 1 + len(texts[n]) for n in row] for row in numbers]
    samples = [[-2 if n < 0 else starts[n].sample for n in row] for row in numbers]
    first_BM1 = torch.tensor(first, device=device).unsqueeze(2)
    sample_BM1 = torch.tensor(samples, device=device).unsqueeze(2)
    clean_sample_B1C = torch.from_numpy(batch.clean_sample).to(device).unsqueeze(1)
    clean_position_B1C = torch.from_numpy(batch.clean_positions).to(device).unsqueeze(1)
    to_clean = (clean_sample_B1C == sample_BM1) & (clean_position_B1C < first_BM1)
    # Padding sees padding (its own row at least), so no row sees nothing.
    to_own = torch.cat(list(owners), 1).unsqueeze(1) == columns_BM.unsqueeze(2)
    mask = torch.cat((to_clean, to_own), 2)
    return torch.tensor(tokens, device=device), torch.tensor(positions, device=device), None, mask


def _best(network: Transformer, hidden_RD: Tensor, allowed_V: Tensor) -> list[int]:
    logits_RV = torch.nn.functional.linear(hidden_RD, network.head_weight.to(hidden_RD.dtype)).float()
    return logits_RV.masked_fill(~allowed_V, float("-inf")).argmax(-1).tolist()
