"""The OpenAPI document is the structs', and the app does what it says (fuzzed by schemathesis)."""

import time

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from model.engine.app import EngineInfo, make_app
from model.engine.guard import GuardSettings
from model.engine.lifecycle import Lifecycle
from model.engine.protocols.openapi import OPENAPI_FILE, openapi_json
from model.engine.runner import Runner

MAX_EXAMPLES = 10  # `schemathesis run` does all phases with more


def test_the_committed_document_is_the_one_of_the_structs():
    assert OPENAPI_FILE.read_text("utf-8") == openapi_json()


def app_over(scripted):
    life = Lifecycle(idle_s=60, stop=lambda: None)
    runner = Runner(
        lambda report: scripted, on_loading=life.set_loading, on_ready=life.set_ready, on_failed=life.set_failed
    )
    guard = GuardSettings(hosts=frozenset({"testserver", "localhost"}), max_body_bytes=1_000_000)
    return make_app(runner, life, EngineInfo(version="1", model="m", device="cpu"), guard), runner, life


def test_it_is_served(scripted):
    app, _, _ = app_over(scripted)
    answer = TestClient(app).get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == openapi_json()


@pytest.fixture
def document(scripted):
    app, runner, life = app_over(scripted)
    runner.start()
    end_s = time.monotonic() + 60
    while life.status != "ready":
        assert time.monotonic() < end_s
        time.sleep(0.005)
    # 422: fields that do not go together, which no schema says.
    accepted = {"positive_data_acceptance": {"expected-statuses": ["2xx", "422"]}}
    config = schemathesis.Config.from_dict({"checks": accepted})
    yield schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    runner.stop()


PATHS = ("/v1/completions", "/v1/fim/completions", "/infill", "/v1/models", "/props", "/health")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("path", PATHS)
def test_the_app_does_what_the_document_says(document, path, mode):
    """Not by schemathesis's own pytest plugin, which needs insides that pytest 9.2 has no more."""
    if mode is GenerationMode.NEGATIVE and "post" not in document.raw_schema["paths"][path]:
        return  # without a body nothing can be wrong
    [operation] = [found.ok() for found in document.get_all_operations() if found.ok().path == path]

    @settings(
        max_examples=MAX_EXAMPLES,
        deadline=None,
        derandomize=True,  # the same cases each time; `schemathesis run` looks for others
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        case.call_and_validate()

    check()
