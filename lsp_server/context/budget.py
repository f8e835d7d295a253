"""How much of a prompt may be code of other places: the one place where that is decided.

Source: what the models were trained with (one or two snippets, each at most a fifth of the context) and what the engine
keeps of them (model/engine/prompting.py). A long prompt has room for more snippets, not for longer ones: past some
hundred tokens the rest of a snippet says little. Left out: choosing them (gather.py).
"""

import msgspec

from model.engine import api

# Indented code has about 4 characters a token in the embedded tokenizer, dense code 2.6. The engine drops snippets that
# are too long whole, but only beyond a third of its prompt, and all together are a quarter here.
SNIPPET_CHARS_PER_TOKEN = 3.1
MIN_SNIPPETS = 1
MAX_SNIPPETS = 16
TOKENS_PER_SNIPPET = 512
MAX_SNIPPET_TOKENS = 400
MAX_PATH_CHARS = 48


class Budget(msgspec.Struct, frozen=True):
    """Most snippets, most characters of one (its path line included), and of all."""

    num_snippets: int
    snippet_chars: int
    total_chars: int


def snippet_budget(capabilities: api.Capabilities) -> Budget:
    """The budget for a model: a quarter of its context in all.

    A small context takes one snippet of an eighth, which goes on from similar lines. Measured with the embedded model
    (benchmarks/results/context.txt): +1.7 points of exact lines in 1,200 places of finished files (+0.8 to +2.7), twice
    as long +1.4; +2.5 at 600 keystrokes in files that end at the cursor (+0.8 to +4.2), twice as long +3.7; definitions
    of names near the cursor -0.6.
    """
    context = capabilities.context_tokens
    return Budget(
        num_snippets=min(MAX_SNIPPETS, max(MIN_SNIPPETS, context // TOKENS_PER_SNIPPET)),
        snippet_chars=int(min(context // 8, MAX_SNIPPET_TOKENS) * SNIPPET_CHARS_PER_TOKEN),
        total_chars=int(context // 4 * SNIPPET_CHARS_PER_TOKEN),
    )


def shown_path(path: str) -> str:
    """`path` as a snippet's first line: one line, its last parts only where it is long."""
    shown = "".join(character if character.isprintable() else "_" for character in path)
    if len(shown) <= MAX_PATH_CHARS:
        return shown
    end = shown[-MAX_PATH_CHARS:]
    return end.partition("/")[2] or end
