"""The options of `seedling engine serve`, which go to the engine as they are (model/engine/command.py checks them).

Here because the command line must not import the engine to show its help. Left out: what they do.
"""

import argparse
from typing import NamedTuple

SERVING = """\
Without options: an engine for you alone, as editors start one. With --listen others may come in; beyond loopback it
needs TLS and tokens (docs/deploy.md).

examples:
  seedling engine serve --listen 127.0.0.1:8012 --token-file tokens
  seedling engine serve --listen 0.0.0.0:8443 --tls-cert box.pem --tls-key box.key --token-file tokens
"""


NEEDS_LISTEN = "{} goes with --listen: without it the engine is for you alone."


class _Option(NamedTuple):
    name: str
    metavar: str  # empty: a switch
    what: str


OPTIONS = (
    _Option("--listen", "HOST:PORT", "listen for others, with their tokens, until a signal"),
    _Option("--tls-cert", "PEM", "certificate with its chain; wanted beyond loopback"),
    _Option("--tls-key", "PEM", "the certificate's key"),
    _Option("--token-file", "FILE", "lines NAME TOKEN, readable by its owner alone"),
    _Option("--behind-proxy", "", "listen without TLS: a proxy in front does that"),
    _Option("--name", "HOST", "a host name of it (default: those of the certificate); may be repeated"),
    _Option("--max-running", "N", "requests of a token at a time"),
    _Option("--max-requests-per-minute", "N", "requests of a token in a minute"),
    _Option("--max-mb-per-minute", "N", "MiB that a token may send in a minute"),
    _Option("--drain-s", "S", "how long requests may take to end after a signal"),
    _Option("--log", "FILE", "log file (default: standard error)"),
    _Option("--log-format", "text|json", "json: one object a line"),
    _Option("--device", "NAME", "auto, cpu, cuda, cuda:1, …"),
    _Option("--dtype", "NAME", "auto, float32 or bfloat16"),
    _Option("--precision", "NAME", "auto, full, int8 or fp8: how the weights are held (docs/models.md)"),
    _Option("--threads", "N", "threads of one operation on a CPU"),
)


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = SERVING
    for option in OPTIONS:
        if option.metavar:
            parser.add_argument(option.name, metavar=option.metavar, action="append", help=option.what)
        else:
            parser.add_argument(option.name, action="store_true", help=option.what)


def serve_words(options: argparse.Namespace) -> list[str]:
    """What was given, as words again."""
    words: list[str] = []
    for option in OPTIONS:
        given = getattr(options, option.name.removeprefix("--").replace("-", "_"))
        if given is True:
            words.append(option.name)
        else:
            # "=": a value may begin with a hyphen.
            words += [f"{option.name}={value}" for value in given or ()]
    return words
