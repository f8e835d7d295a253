"""How a family of foreign weights is asked: the prompt's parts as data.

Left out: making the prompt from it (model/engine).
"""

import msgspec


class PromptForm(msgspec.Struct, frozen=True, kw_only=True):
    """The strings around a text, special tokens by name."""
