"""A resident model whose rows spell an answer by their place in the text, whatever is asked.

The tiny network runs as it is; only what its hidden rows say is replaced, by the row's place. So a block at the wrong
place, a row read in another's place or a suffix before the canvas would spell something else.
"""

import contextlib
from collections.abc import Iterator, Sequence

import pytest
import torch

from model.diffusion import steps as steps_module
from model.engine import chat_repairs, generation
from model.engine.generation import ResidentModel
from model.engine.prompting import Prepared, prepare
from model.network.many_passes import Hidden, Pass, many_passes
from model.network.one_pass import Rows
from model.tokenizer import EOM

SURE = 30.0


@contextlib.contextmanager
def spelling(resident: ResidentModel, written: str) -> Iterator[list[Prepared]]:
    """The canvas of each request says `written` and then the end, behind what was typed of a healed token. Gives what
    was prepared, in order.
    """
    network, tokenizer = resident.network, resident._checkpoint.tokenizer
    shift = int(network.config.shift)
    all_prepared: list[Prepared] = []

    def prepared_as_usual(*arguments) -> Prepared:
        all_prepared.append(prepare(*arguments))
        return all_prepared[-1]

    def logits(hidden_MD: torch.Tensor) -> torch.Tensor:
        prepared = all_prepared[-1]
        typed = prepared.taken_back.typed.decode() if prepared.taken_back else ""
        ids, start = tokenizer.encode(typed + written), len(prepared.prompt_ids)
        logits_MV = torch.zeros(len(hidden_MD), network.config.vocab_size)
        for row, place in enumerate(hidden_MD[:, 0].long().tolist()):
            index = place + shift - start
            logits_MV[row, ids[index] if 0 <= index < len(ids) else EOM] = SURE
        return logits_MV

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps_module, "many_passes", _placed)
        patch.setattr(network, "logits", logits)
        for module in (generation, chat_repairs):
            patch.setattr(module, "prepare", prepared_as_usual)
        yield all_prepared


def _placed(network, passes: Sequence[Pass]) -> list[Hidden]:
    given: list[Hidden] = []
    for part in passes:
        cached = int(part.cache.lengths_B[0])
        num_clean = 0 if part.clean is None else part.clean.tokens_BT.shape[1]
        ((clean_1CD, noisy_1ND),) = many_passes(network, [part])
        given.append((_places(part.clean, cached, clean_1CD), _places(part.noisy, cached + num_clean, noisy_1ND)))
    return given


def _places(rows: Rows | None, first: int, hidden_1TD: torch.Tensor | None) -> torch.Tensor | None:
    """Hidden rows that hold their rows' places; the first ones of a prefill may be left out."""
    if rows is None or hidden_1TD is None:
        return None
    places = torch.arange(rows.tokens_BT.shape[1]) + first if rows.positions_BT is None else rows.positions_BT[0]
    return places[-hidden_1TD.shape[1] :, None].expand(hidden_1TD.shape[1:]).to(hidden_1TD.dtype)[None]
