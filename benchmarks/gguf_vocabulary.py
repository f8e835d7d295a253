"""Our vocabulary in a GGUF file, as near as llama.cpp comes to it, so that its server can be given text.

It is byte-level BPE, which llama.cpp reads as `gpt2`. Of the ways in which llama.cpp cuts a text before merging only
`superbpe` lets merges cross spaces; it does not cut indentation off as ours does, which seldom changes a token
(upstreams.py counts). Holes are marked by our layout tokens for suffix, prefix and cursor, in the order in which
llama.cpp puts them (with `--spm-infill` the suffix first, as ours), which has no place for our path and tail. Source:
the loader of vocabularies in llama.cpp (src/llama-vocab.cpp). Left out: using such a file where answers count.
"""

import json
from pathlib import Path

import gguf

from model.tokenizer import BOS, CUR, EOM, NUM_RESERVED, PRE, SUF

PRE_TOKENIZER = "superbpe"
_HOLE_IDS = {"fim_pre": PRE, "fim_suf": SUF, "fim_mid": CUR}


def add_vocabulary(writer: gguf.GGUFWriter, tokenizer_file: Path) -> None:
    """The vocabulary and merges of a tokenizer.json of ours."""
    model = json.loads(tokenizer_file.read_bytes())["model"]
    names = sorted(model["vocab"], key=model["vocab"].__getitem__)
    kinds = [gguf.TokenType.CONTROL if i < NUM_RESERVED else gguf.TokenType.NORMAL for i in range(len(names))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOM)
    writer.add_add_bos_token(True)
    for name, token in _HOLE_IDS.items():
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)
