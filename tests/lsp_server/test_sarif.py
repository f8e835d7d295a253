"""What we write as SARIF is SARIF, by the standard's own schema, and says where and what a repair is."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from lsp_server.features.fix import Repair
from lsp_server.sarif import Found, as_sarif

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0.json").read_text("utf-8"))
SOURCE = "é = '😀'; a = bb\nif a = 1:\n    pass\n"


def repair(old: str, new: str, kind: str) -> Repair:
    start = SOURCE.index(old)
    return Repair(start, start + len(old), new, 0.876, kind, start, (old, new))


REPAIRS = (
    repair("bb", "b", "name"),
    repair("a = 1", "a == 1", "equals"),
    repair("    pass\n", "    pass\n\n", "added"),
)
LOGS = {
    "nothing": [],
    "several files": [Found(Path("src/ä b.py"), SOURCE, REPAIRS), Found(Path("/w/c.py"), SOURCE, REPAIRS[:1])],
    "a file without repairs": [Found(Path("a.py"), SOURCE, ())],
}


@pytest.fixture(scope="module")
def schema() -> jsonschema_rs.Draft4Validator:
    return jsonschema_rs.Draft4Validator(SCHEMA, validate_formats=True)


@pytest.mark.parametrize("found", LOGS.values(), ids=LOGS)
def test_the_log_is_what_the_standard_wants(found: list[Found], schema: jsonschema_rs.Draft4Validator) -> None:
    log = json.loads(json.dumps(as_sarif(found, "1.2.3")))
    assert [f"{error.instance_path}: {error.message}" for error in schema.iter_errors(log)] == []
    assert len(log["runs"][0]["results"]) == sum(len(file.repairs) for file in found)


def test_the_schema_would_tell(schema: jsonschema_rs.Draft4Validator) -> None:
    log = as_sarif(LOGS["several files"], "1.2.3")
    result = log["runs"][0]["results"][0]
    for name, wrong in (("level", "hint"), ("rank", 101), ("message", "text"), ("unheard_of", 1)):
        broken = {**log, "runs": [{**log["runs"][0], "results": [{**result, name: wrong}]}]}
        assert not schema.is_valid(json.loads(json.dumps(broken))), name


def test_a_fix_that_is_applied_by_its_region_is_the_repair() -> None:
    for one, result in zip(
        REPAIRS, as_sarif([Found(Path("a.py"), SOURCE, REPAIRS)], "1")["runs"][0]["results"], strict=True
    ):
        (change,) = result["fixes"][0]["artifactChanges"]
        (replacement,) = change["replacements"]
        region = replacement["deletedRegion"]
        lines = SOURCE.splitlines(keepends=True)
        start, end = (
            sum(map(len, lines[: region[f"{end}Line"] - 1])) + region[f"{end}Column"] - 1 for end in ("start", "end")
        )
        assert SOURCE[:start] + replacement["insertedContent"]["text"] + SOURCE[end:] == one.applied(SOURCE)
