"""`seedling eval infill`: missing lines or spans of a benchmark file, written by the model and compared with the truth.

Metrics, each with the floor of an empty answer: exact match, edit similarity, and pass@1 where rows hold tests and
a sandbox works here. Answers are written as the engine writes them with this checkpoint, or as --decoding says: in
blocks, by the clean stream one token a forward (the autoregressive twin of the same weights), or by it with guesses
that one forward checks (the same text). Left out: alternatives (greedy only), and places in real projects (heldout.py).
"""

import argparse
import sys

from model.evaluation.options import EvalError, add_common, data_file, load_model, report

DATA = "santacoder-fim/santacoder-fim-python.jsonl.gz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what_data = f"rows of SantaCoder-FIM or HumanEval-Infilling (default: {DATA} in the folder SEEDLING_EVALS)"
    add_common(parser, what_data=what_data)
    parser.add_argument(
        "--length", choices=("free", "oracle"), default="free", help="oracle: the number of tokens is given"
    )
    parser.add_argument(
        "--decoding", choices=("blocks", "clean", "speculate"), help="default: the engine's; with --tau blocks"
    )
    parser.add_argument("--tau", type=float, metavar="P", help="threshold of unmasking in blocks (default: its own)")


def run(args: argparse.Namespace) -> int:
    """Prints the scores; 0 = done. Raises EvalError with a sentence."""
    if args.tau is not None and not 0 <= args.tau <= 2:
        raise EvalError(f"--tau is a probability, 0 to 1 (2: one token a forward), not {args.tau:g}")
    path = data_file(args, DATA)
    checkpoint = load_model(args)
    decoding = args.decoding or ("blocks" if args.tau is not None else checkpoint.preset.sampling.completion)
    if decoding != "blocks" and args.tau is not None:
        raise EvalError(f"--tau is a threshold of blocks and has no meaning with the decoding {decoding}")

    from model.evaluation.decode import Decoder
    from model.evaluation.infill_data import read_infill
    from model.evaluation.infill_scores import answer_all, costs_of, scores_of
    from model.evaluation.sandbox import available

    data = read_infill(path, args.limit)
    why_not = available() if data.has_tests else None
    if why_not is not None:
        print(f"seedling eval infill: there is no pass@1: {why_not}", file=sys.stderr)
    decoder = Decoder(checkpoint, tau_mask=args.tau)
    answers = answer_all(decoder, data, length=args.length, decoding=decoding)
    result = {
        "command": "infill",
        "data": path.name,
        "what": data.what,
        "model": checkpoint.preset.name,
        "rows": len(answers),
        "decoding": decoding,
        "length": args.length,
        "tau_mask": decoder.tau_mask if decoding == "blocks" else None,
        **scores_of(data.rows, answers, run_tests=data.has_tests and why_not is None),
        **costs_of(answers),
    }
    return report(table_of(result), result, args)


def table_of(result: dict) -> list[tuple[str, str]]:
    """The result as labels and values for people."""
    from model.evaluation.metrics import Gate, gate_text

    how = {
        "blocks": f"in blocks, tau {result['tau_mask']}",
        "clean": "clean stream, one token a forward",
        "speculate": "clean stream, with guesses",
    }[result["decoding"]]
    floor = result["floor"]
    lines = [
        ("data", f"{result['rows']} rows of {result['data']}: {result['what']}"),
        ("decoding", f"{result['length']} length, greedy, {how}"),
        ("exact match", f"{result['exact_match']:.1%} (floor {floor['exact_match']:.1%})"),
        (
            "edit similarity",
            f"{result['edit_similarity']:.3f} (floor {floor['edit_similarity']:.3f}; {result['edit_similarity_by']})",
        ),
    ]
    if result["pass_at_1"] is not None:
        lines.append(("pass@1", f"{result['pass_at_1']:.1%} (floor {floor['pass_at_1']:.1%})"))
    return [
        *lines,
        ("empty answers", f"{result['empty']:.1%}"),
        ("a row", f"{result['forwards']:.2f} forwards, {result['steps']:.2f} steps"),
        ("a forward", f"{result['tpf']:.2f} tokens, {result['bytes_per_forward']:.2f} bytes"),
        ("exact at confidence", gate_text([Gate(**row) for row in result["gate"]])),
    ]
