"""`seedling doctor`: a finding for everything that matters, advice for every problem, exit code 1 if there is one."""

import json
from pathlib import Path

import pytest

from lsp_server import cli, doctor
from lsp_server.doctor import Check
from lsp_server.engine_client import control
from tests.model.checkpoints.tiny_folders import write_tiny_folder


@pytest.fixture
def no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEDLING_MODEL", str(tmp_path / "none"))
    monkeypatch.setenv("SEEDLING_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "none"


def test_a_missing_checkpoint_is_a_problem_with_advice(no_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == 1
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["checkpoint"]["state"] == "problem"
    assert str(no_checkpoint) in checks["checkpoint"]["found"]
    assert "SEEDLING_MODEL" in checks["checkpoint"]["advice"]
    assert checks["python"]["state"] == checks["seedling"]["state"] == "ok"
    assert "torch" in checks["packages"]["found"]
    assert "engine" not in checks  # nothing to start without a checkpoint


def test_the_report_names_what_to_do(no_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "PROBLEM" in shown
    assert "→ Point SEEDLING_MODEL" in shown


def test_a_model_of_others_is_judged_by_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config", "data"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / name))
    monkeypatch.delenv("SEEDLING_MODEL", raising=False)
    folder = tmp_path / "data" / "seedling" / "models" / "a-model"
    settings = tmp_path / "config" / "seedling" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"model = '{folder}'\n")
    check = doctor.check_checkpoint()
    assert check.state == "problem"
    assert "seedling models pull a-model" in check.advice
    assert "seedling models use embedded" in check.advice
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"")
    check = doctor.check_checkpoint()
    assert (check.state, "no preset.json" in check.found) == ("problem", True)
    assert f"seedling models use {folder}" in check.advice
    (folder / "preset.json").write_text("{}")
    assert doctor.check_checkpoint().state == "ok"


def test_the_users_settings_file_is_named_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "seedling" / "settings.toml"
    check = doctor.check_settings()
    assert (check.state, str(path) in check.found) == ("ok", True)
    path.parent.mkdir()
    path.write_text("manual_only = true\nmodel = '/m'\n")
    assert doctor.check_settings() == Check("settings", "ok", f"{path} sets manual_only, model")
    path.write_text("manual_onyl = true\nenabled = 3\n")
    check = doctor.check_settings()
    assert (check.state, check.found) == ("problem", str(path))
    assert "manual_only" in check.advice
    assert "enabled" in check.advice


def test_missing_packages_are_named_with_the_way_to_add_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from lsp_server.engine_client import launch

    monkeypatch.setattr(launch, "_ENGINE_MODULES", ("torch", "no_such_package_at_all"))
    check = doctor.check_packages()
    assert check.state == "problem"
    assert "no_such_package_at_all" in check.advice
    assert 'pip install "seedling-lsp[engine]"' in check.advice


def test_editors_are_found_and_old_ones_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in [("nvim", "NVIM v0.10.4"), ("code", "1.139.1")]:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    old, code = doctor.check_editors()
    assert (old.state, code.state) == ("note", "ok")
    assert "0.12" in old.advice
    assert code.found == "code 1.139.1"
    (tmp_path / "nvim").write_text("#!/bin/sh\necho 'NVIM v0.12.4'\n")
    assert doctor.check_editors()[0] == Check("editor", "ok", "NVIM v0.12.4")


def test_an_engine_that_cannot_start_is_a_problem(no_checkpoint: Path) -> None:
    """A real start of a real engine, which finds no checkpoint."""
    (check,) = doctor.check_engine()
    assert check.state == "problem"
    assert str(no_checkpoint) in check.advice


def test_a_model_that_only_rewrites_is_tried_with_an_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real engine with tiny weights in SDAR's layout."""
    write_tiny_folder(tmp_path / "SDAR-1.7B-Chat", "sdar")
    (tmp_path / "run").mkdir(mode=0o700)
    for name, value in {"MODEL": "SDAR-1.7B-Chat", "RUNTIME_DIR": "run"}.items():
        monkeypatch.setenv(f"SEEDLING_{name}", str(tmp_path / value))
    monkeypatch.setenv("SEEDLING_EAGER", "1")
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    try:
        checks = {check.name: check for check in doctor.check_engine()}
    finally:
        control.stop()
    assert "sdar-1.7b-chat" in checks["engine"].found
    assert checks["step"].state == "ok"
    assert "of an edit" in checks["step"].found
