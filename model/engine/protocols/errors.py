"""Errors in the shape that a path's clients read: OpenAI's, llama.cpp's, or the border's own.

Left out: which status an error has (refusal.py).
"""

import msgspec

from model.engine import api
from model.engine.protocols.llama_cpp import error_answer as llama_cpp_error
from model.engine.protocols.openai import error_answer as openai_error

OPENAI_PATHS = ("/v1/completions", "/v1/fim/completions", "/v1/models")
LLAMA_CPP_PATHS = ("/infill", "/props")


def encode_error(path: str, status: int, error: api.Error) -> bytes:
    """The body of an error's answer."""
    if path in OPENAI_PATHS:
        return msgspec.json.encode(openai_error(status, error))
    if path in LLAMA_CPP_PATHS:
        return msgspec.json.encode(llama_cpp_error(status, error))
    return api.encode_event(error)
