"""docs/troubleshooting.md says for every reason what to do."""

import re
from pathlib import Path

from lsp_server.outcome import Reason

PAGE = Path(__file__).resolve().parent.parent / "docs" / "troubleshooting.md"


def test_every_reason_has_its_advice_once() -> None:
    page = PAGE.read_text("utf-8")
    advice = page.partition("### What to do about each\n")[2].partition("\n## ")[0]
    named = [slug for row in advice.splitlines()[2:] for slug in re.findall(r"`([a-z_]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(reason.slug for reason in Reason)
