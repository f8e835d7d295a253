"""llama.cpp behind the same interface as our own ways of writing: warm the cache, write a line.

Through the C interface that llama-cpp-python binds (llama_decode, removal of a cache's tail), so that nothing stands
between the passes but what greedy decoding needs: one array of logits, its maximum, the stop rule. The same work is
done as for our clean stream (one_by_one.py). Left out: its tokenizer, its samplers, its server.
"""

import logging
from pathlib import Path

import llama_cpp  # pyright: ignore[reportMissingImports]  # the extra `bench`
import numpy as np

from benchmarks.lines import Line, Task, num_common
from benchmarks.one_by_one import GreedyLine
from model.diffusion.lookup import Lookup


class LlamaWriter:
    """One model with one context, which holds the rows of a prompt's beginning between the calls."""

    def __init__(self, path: Path, *, context_tokens: int, num_threads: int, token_bytes: tuple[bytes, ...]) -> None:
        """RuntimeError if llama.cpp cannot use the file."""
        logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)  # what it warns of is meant so
        llama_cpp.llama_backend_init()
        self._token_bytes = token_bytes
        self._model = llama_cpp.llama_model_load_from_file(bytes(path), llama_cpp.llama_model_default_params())
        if self._model is None:
            raise RuntimeError(f"llama.cpp does not load {path.name}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = context_tokens
        params.n_threads = params.n_threads_batch = num_threads
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED  # a tenth faster here for one token
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if self._context is None:
            raise RuntimeError("llama.cpp makes no context of this size")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(context_tokens, 0, 1)
        # Views of the batch's arrays: one assignment a pass.
        self._ids_T = np.ctypeslib.as_array(self._batch.token, (context_tokens,))
        self._positions_T = np.ctypeslib.as_array(self._batch.pos, (context_tokens,))
        self._wanted_T = np.ctypeslib.as_array(self._batch.logits, (context_tokens,))
        np.ctypeslib.as_array(self._batch.n_seq_id, (context_tokens,))[:] = 1
        for row in range(context_tokens):
            self._batch.seq_id[row][0] = 0
        self._held: list[int] = []  # ids whose rows the cache holds

    def warm(self, task: Task) -> None:
        """The cache holds the first `num_warm` rows of the task's prompt and no others."""
        wanted = task.prepared.prompt_ids[: task.num_warm]
        self._keep(num_common(self._held, wanted))
        if len(wanted) > len(self._held):
            self._decode(wanted[len(self._held) :])

    def write(self, task: Task) -> Line:
        """One line, one token a pass."""
        return self._write(task, num_drafts=0)

    def write_guessing(self, task: Task) -> Line:
        """The same line with our own guesses from the text (lookup.py): what our `speculate` does."""
        return self._write(task, num_drafts=task.prepared.policy.num_drafts)

    def _write(self, task: Task, *, num_drafts: int) -> Line:
        # The last row of the prompt says the first token, so it runs even if it is cached.
        self._keep(min(task.num_warm, len(task.prepared.prompt_ids) - 1))
        line = GreedyLine(task, self._token_bytes, len(self._held))
        lookup = Lookup(task.prepared.prompt_ids) if num_drafts else None
        forwards, num_labels = 0, len(self._token_bytes)
        while line.run:
            guess = lookup.following(num_drafts) if lookup is not None else []
            num_before = len(self._held) + len(line.run)
            self._decode([*line.run, *guess], num_wanted=1 + len(guess))
            forwards += 1
            for row in range(1 + len(guess)):
                logits = llama_cpp.llama_get_logits_ith(self._context, row - 1 - len(guess))
                line.take(np.ctypeslib.as_array(logits, (num_labels,)))
                if lookup is not None and line.run:
                    lookup.add(line.run[0])
                if line.run != guess[row : row + 1]:  # the end, a wrong guess, or nothing more was guessed
                    self._keep(num_before + row)
                    break
        return line.finish(forwards)

    def logits(self, ids: list[int]) -> np.ndarray:
        """fp32 (T, V): every row's prediction of the next token."""
        self._keep(0)
        self._decode(ids, num_wanted=len(ids))
        logits = llama_cpp.llama_get_logits(self._context)
        return np.ctypeslib.as_array(logits, (len(ids), len(self._token_bytes))).copy()

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _keep(self, num_rows: int) -> None:
        if num_rows < len(self._held):
            llama_cpp.llama_memory_seq_rm(self._memory, 0, num_rows, -1)
            del self._held[num_rows:]

    def _decode(self, ids: list[int], *, num_wanted: int = 1) -> None:
        """Runs ids behind the rows held; logits are there for the last `num_wanted`."""
        num, start = len(ids), len(self._held)
        self._ids_T[:num] = ids
        self._positions_T[:num] = range(start, start + num)
        self._wanted_T[: num - num_wanted] = 0
        self._wanted_T[num - num_wanted : num] = 1
        self._batch.n_tokens = num
        code = llama_cpp.llama_decode(self._context, self._batch)
        if code != 0:
            raise RuntimeError(f"llama_decode ended with code {code}")
        self._held += ids


def version() -> str:
    """Of the binding, and what llama.cpp was built for."""
    abilities = llama_cpp.llama_print_system_info().decode()
    return f"llama-cpp-python {llama_cpp.__version__}, {' '.join(abilities.split()).strip(' |')}"
