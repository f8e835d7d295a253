"""Mercury's /v1/fim/completions (Inception), which is also Mistral's: a prompt with its suffix.

Source: Inception's API reference; what litellm's tests, minuet-ai.nvim and Continue send to it. Requests are those of
/v1/completions, but the prompt is always code before a hole. Answers are `choices[].text` there and, at Mistral,
`choices[].message.content` (streamed: `delta.content`): here both, so that either kind of client reads its own. Left
out: /v1/edit/completions and /v1/apply/completions, whose prompts are conversations.
"""

import msgspec

from model.engine.protocols.openai import CompletionRequest


def as_hole(asked: CompletionRequest) -> CompletionRequest:
    """The request of a hole that has nothing behind it, where no suffix is given."""
    return asked if asked.suffix is not None else msgspec.structs.replace(asked, suffix="")
