"""The unit and the container file say what the engine understands, and keep what docs/deploy.md promises of them."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from lsp_server.engine_options import serve_words

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
UNIT = DEPLOY / "seedling-engine.service"


def understood(words: list[str]) -> None:
    """`seedling engine serve …` takes these words, and so does the engine that they are handed to."""
    from lsp_server.cli import build_parser
    from model.engine.command import _parser

    assert words[:3] == ["seedling", "engine", "serve"]
    handed_over = serve_words(build_parser().parse_args(words[1:]))
    options = _parser().parse_args(["serve", "--model", "m", *handed_over])
    assert options.listen.host == "0.0.0.0"
    assert options.tls_cert
    assert options.tls_key
    assert options.token_file


def unit() -> dict[str, str]:
    """The last value of each key of [Service]."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    parser.read_string(UNIT.read_text().replace("\\\n", " "))
    return dict(parser["Service"])


def test_the_unit_starts_what_there_is() -> None:
    words = shlex.split(unit()["ExecStart"])
    assert words[0].startswith("/")
    understood(["seedling", *words[1:]])
    drain_s = float(words[words.index("--drain-s") + 1])
    assert float(unit()["TimeoutStopSec"]) > drain_s


def test_the_unit_is_hardened() -> None:
    service = unit()
    wanted = {"DynamicUser": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "NoNewPrivileges": "yes"}
    assert wanted.items() <= service.items()
    assert service["CapabilityBoundingSet"] == ""
    assert "MemoryMax" in service


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_understands_the_unit() -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert [line for line in complaints if "is not executable" not in line] == []  # /opt/seedling is not here


def test_the_container_runs_what_there_is_as_nobody_in_particular() -> None:
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    found = [line.partition(" ") for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    last = {name: rest for name, _, rest in found}
    understood(json.loads(last["ENTRYPOINT"]) + json.loads(last["CMD"]))
    user = last["USER"].split(":")
    assert all(part.isdigit() and int(part) > 0 for part in user)
    assert last["STOPSIGNAL"] == "SIGTERM"
    probe = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])
    compile(probe[2], "probe", "exec")
    assert "8443/ready" in probe[2]
