"""The questions of the gate's benchmark, asked: held-out places through server and engine (proposals.py) to figures.

With what the server has gathered when a line is begun (gathered.py). Left out: what the figures mean (gate.py).
"""

import argparse
import math
import tempfile
from pathlib import Path

from benchmarks.gate import Tried, places_of
from benchmarks.gathered import Projects
from benchmarks.proposals import Proposal, Proposer
from lsp_server.context.scene import Findings
from model.checkpoints.load import Checkpoint, default_checkpoint
from model.engine.abilities import capabilities_of
from model.evaluation.decode import Place
from model.evaluation.heldout_places import heldout_documents
from model.evaluation.mend import by_project
from model.evaluation.options import watched


def tries_of(checkpoint: Checkpoint, args: argparse.Namespace) -> list[Tried]:
    """All questions, those of the calibration projects first. EvalError where the shards hold no held-out text."""
    proposer = Proposer(checkpoint, args.model or default_checkpoint())
    tries: list[Tried] = []
    everything = list(heldout_documents(args.shards))
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        projects = Projects(everything, Path(folder), capabilities_of(checkpoint.preset, "cpu"))
        for is_test, documents in enumerate(by_project(everything)):
            found, found_for = Findings(), 0
            questions = list(places_of(documents, args.limit))
            for group, kind, line, place in watched(questions, "test" if is_test else "calibration"):
                if line != found_for:
                    found, found_for = projects.around(place), line
                proposal = proposer.propose(place, snippets=found.snippets, others=found.lines)
                tries.append(tried(group, kind, bool(is_test), line, place, proposal))
    return tries


def tried(group: str, kind: str, is_test: bool, line: int, place: Place, proposal: Proposal) -> Tried:
    """The figures of a proposal."""
    tokens = proposal.tokens
    return Tried(
        group=group,
        kind=kind,
        is_test=is_test,
        line=line,
        num_left=len(place.gold.rstrip()),
        outcome=proposal.outcome,
        is_right=proposal.is_exact,
        num_chars=len(proposal.text),
        confidence=proposal.confidence,
        num_tokens=proposal.num_tokens,
        least_p=math.exp(tokens.least_log_p) if tokens else 1.0,
        first_p=math.exp(tokens.first_log_p) if tokens else 1.0,
        entropy=tokens.entropy if tokens else 0.0,
        forwards=proposal.forwards,
        witness=proposal.witness,
    )
