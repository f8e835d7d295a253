"""`seedling eval block`: writing stretches of 32 to 128 tokens of held-out documents, with how many forwards.

The places are the committed list of block_set.py. Scores: edit similarity to the true text; share of documents that
still parse with the answer in place (of those that parse in the original); bits per byte that a frozen checkpoint's
clean stream (the judge) gives the answers, beside what it gives the true text. A low number alone is no praise, since
dull and repeated text is likely too. Floor: an empty answer. Source: this project's own protocol. Left out: running
the code, and comparisons of two checkpoints (run it twice).
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from model.evaluation.options import add_common, load_model, report, watched
from model.syntax.python import parses

if TYPE_CHECKING:
    from model.evaluation.decode import Decoder, Place

MAX_ANSWER_TOKENS = 160
"""Room for an answer: a quarter more than the longest true text."""

Length = Literal["free", "oracle"]


class BlockScore(msgspec.Struct, frozen=True, kw_only=True):
    """Scores 0..1 but the bits per byte (None where no answer has a byte); `forwards` are a mean over places.

    `num_parsing` = places whose document parses in the original; `parse_rate` and its floor are shares of those.
    """

    exact_match: float
    edit_similarity: float
    empty: float
    num_parsing: int
    parse_rate: float
    judge_bits_per_byte: float | None
    true_text_bits_per_byte: float
    forwards: float
    tokens: float
    tpf: float
    bytes_per_forward: float
    floor_edit_similarity: float
    floor_parse_rate: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, what_data=None)
    parser.add_argument("--shards", type=Path, required=True, help="folder of `seedling corpus build`")
    parser.add_argument("--length", choices=("free", "oracle"), default="free", help="who knows the answer's length")
    parser.add_argument("--judge", type=Path, default=None, help="checkpoint folder of the judge (default: --model's)")
    parser.add_argument("--write-list", type=Path, default=None, help="write a list of places of --shards; no scoring")


def run(args: argparse.Namespace) -> int:
    """Prints the scores; 0 = done. Raises EvalError."""
    if args.write_list is not None:
        return _write_list(args)
    checkpoint = load_model(args)
    from model.evaluation.block_set import LIST_FILE, find_places, read_list
    from model.evaluation.decode import Decoder
    from model.evaluation.heldout_places import heldout_documents

    documents = list(heldout_documents(args.shards))
    found = find_places(read_list(LIST_FILE), documents, limit=args.limit)
    if found.missing:
        print(
            f"# {len(found.missing)} listed documents are not in these shards: {', '.join(found.missing)}",
            file=sys.stderr,
        )
    decoder = Decoder(checkpoint)
    judge, judge_name = decoder, "the model itself"
    if args.judge is not None:
        judged_by = load_model(argparse.Namespace(**{**vars(args), "model": args.judge}))
        judge, judge_name = Decoder(judged_by), judged_by.preset.name
    score = score_blocks(decoder, judge, found.places, args.length)
    result = {
        "model": checkpoint.preset.name,
        "places": len(found.places),
        "listed": found.num_places,
        "missing_documents": len(found.missing),
        "length": args.length,
        "judge": judge_name,
        **msgspec.to_builtins(score),
    }
    return report(_table(score, result), result, args)


def score_blocks(decoder: "Decoder", judge: "Decoder", places: Sequence["Place"], length: Length) -> BlockScore:
    """Decodes every place once and scores the answers together."""
    from model.evaluation.infill_scores import costs_of
    from model.evaluation.metrics import edit_similarity

    answers = [
        decoder.complete(place, stop="eom", length=length, max_tokens=MAX_ANSWER_TOKENS)
        for place in watched(places, "answers")
    ]
    parsing = [place for place in places if parses(place.before + place.gold + place.after)]
    held = set(parsing)
    pairs = list(zip(places, answers, strict=True))
    costs = costs_of(answers)
    num_whole = sum(parses(p.before + a.text + p.after) for p, a in pairs if p in held)
    return BlockScore(
        exact_match=sum(a.text.strip() == p.gold.strip() for p, a in pairs) / len(places),
        edit_similarity=sum(edit_similarity(a.text, p.gold) for p, a in pairs) / len(places),
        empty=costs["empty"],
        num_parsing=len(parsing),
        parse_rate=num_whole / max(1, len(parsing)),
        judge_bits_per_byte=bits_per_byte(judge, [(p, a.text) for p, a in pairs]),
        true_text_bits_per_byte=bits_per_byte(judge, [(p, p.gold) for p in places]) or 0.0,
        forwards=costs["forwards"],
        tokens=sum(len(answer.ids) for answer in answers) / len(places),
        tpf=costs["tpf"],
        bytes_per_forward=costs["bytes_per_forward"],
        floor_edit_similarity=sum(edit_similarity("", p.gold) for p in places) / len(places),
        floor_parse_rate=sum(parses(p.before + p.after) for p in parsing) / max(1, len(parsing)),
    )


def bits_per_byte(judge: "Decoder", texts: Sequence[tuple["Place", str]]) -> float | None:
    """Bits of all texts in the judge's clean stream at their places over all their bytes; None without a byte."""
    nats = 0.0
    num_bytes = 0
    for place, text in texts:
        if text:
            nats -= sum(judge.clean_logprobs(judge.prompt_ids(place), judge.encoder(text)))
            num_bytes += len(text.encode())
    return nats / math.log(2) / num_bytes if num_bytes else None


def _write_list(args: argparse.Namespace) -> int:
    from model.evaluation.block_set import NUM_PLACES, choose_places, heldout_packages, write_list
    from model.evaluation.heldout_places import heldout_documents
    from model.training.shards import open_shards

    documents = list(heldout_documents(args.shards))
    tokenizer = open_shards(args.shards, "heldout").tokenizer
    chosen = choose_places(documents, tokenizer, num=args.limit or NUM_PLACES, seed=0)
    chosen = msgspec.structs.replace(chosen, packages=heldout_packages(args.shards))
    write_list(args.write_list, chosen)
    print(f"wrote {args.write_list}: {chosen.num_places} places in {len(chosen.documents)} documents", file=sys.stderr)
    return 0


def _table(score: BlockScore, result: dict) -> list[tuple[str, str]]:
    judged = "-" if score.judge_bits_per_byte is None else f"{score.judge_bits_per_byte:.3f}"
    return [
        ("places", f"{result['places']} of {result['listed']} listed, {result['length']} length"),
        ("edit similarity", f"{score.edit_similarity:.3f} (floor, empty: {score.floor_edit_similarity:.3f})"),
        ("exact", f"{score.exact_match:.1%}, empty {score.empty:.1%}"),
        ("parses", f"{score.parse_rate:.1%} of {score.num_parsing} (floor, empty: {score.floor_parse_rate:.1%})"),
        ("bits per byte", f"{judged}, true text {score.true_text_bits_per_byte:.3f} (judge: {result['judge']})"),
        ("forwards a place", f"{score.forwards:.1f} for {score.tokens:.1f} tokens"),
        ("tokens a forward", f"{score.tpf:.2f}, bytes {score.bytes_per_forward:.2f}"),
    ]
