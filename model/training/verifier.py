"""Whether what a model wrote leaves worse syntax than the true text: part of what a run is judged by.

The block is parsed together with text before and behind it; worse = more places that the parser could not read. Source:
tree-sitter's ERROR and MISSING nodes. Left out: unit tests, and every likelihood.
"""

from collections.abc import Sequence

from model.syntax.trees import parse
from model.tokenizer import CUR, Tokenizer
from model.training.block_runs import BlockRuns, Run
from model.training.rollouts import ParsesWorse

NUM_TOKENS_BEFORE, NUM_TOKENS_BEHIND = 200, 50


def python_verifier(tokenizer: Tokenizer) -> ParsesWorse:
    """The verifier for Python text."""

    def parses_worse(runs: BlockRuns, run: Run, tokens: Sequence[int]) -> bool:
        before, after = text_around(runs, run)
        wrong = num_errors(tokenizer.decode([*before, *tokens, *after]))
        return wrong > 0 and wrong > num_errors(tokenizer.decode([*before, *run.clean, *after]))

    return parses_worse


def text_around(runs: BlockRuns, run: Run) -> tuple[list[int], list[int]]:
    """The clean tokens of the run's sample before its block, as far as they are its document's, and behind it."""
    batch = runs.batch
    owner, start = batch.noisy_sample[run.row, run.offset], int(batch.noisy_start[run.row, run.offset])
    tokens = batch.clean_tokens[run.row][batch.clean_sample[run.row] == owner].tolist()
    end = start + len(run.clean)
    first = max(tokens.index(CUR) + 1, start - NUM_TOKENS_BEFORE)
    return tokens[first:start], tokens[end : end + NUM_TOKENS_BEHIND]


def num_errors(text: str) -> int:
    """How many ERROR and MISSING nodes the parser leaves."""
    tree = parse(text, "python")
    assert tree is not None, "Python has a grammar"
    found, waiting = 0, [tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.has_error:
            found += node.is_error or node.is_missing
            waiting.extend(node.children)
    return found
