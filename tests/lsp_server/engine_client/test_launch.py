"""What a started engine is given. Starting real ones is in test_connect.py."""

import os
import subprocess

from lsp_server.engine_client.launch import launch
from lsp_server.engine_client.paths import engine_paths


def test_a_local_engine_does_not_learn_the_token_of_another(place, monkeypatch):
    given: dict[str, str] = {}
    monkeypatch.setenv("SEEDLING_ENGINE_TOKEN", "secret")
    monkeypatch.setenv("SEEDLING_TEST_MARK", "kept")
    monkeypatch.setattr(subprocess, "Popen", lambda words, **options: given.update(options["env"]))
    launch(engine_paths())
    assert given == {name: value for name, value in os.environ.items() if name != "SEEDLING_ENGINE_TOKEN"}
    assert given["SEEDLING_TEST_MARK"] == "kept"
