"""Settings: layers, wrong values, and what a project may never set."""

import msgspec
import pytest

from lsp_server.settings import ParsedSettings, Settings, parse_settings


def test_defaults_without_any_layer():
    assert parse_settings(None, {}, {"seedling": None}, 3).settings == Settings()


def test_later_layers_win_flat_or_in_the_section():
    parsed = parse_settings(
        {"manualOnly": True, "confidence": 0.1}, {"seedling": {"confidence": 0.7, "exclude": ["x"]}}
    )
    assert parsed.settings == Settings(manual_only=True, confidence=0.7, exclude=("x",))
    assert parsed.remarks == {}


DANGEROUS = """
engine engineUrl engine_url ENGINE.url token apiKey modelPath model command proxy caCert serverPath path args
trace.server endpoint
"""


@pytest.mark.parametrize("key", DANGEROUS.split())
def test_dangerous_keys_are_ignored_and_named(key):
    parsed = parse_settings({"seedling": {key: "x"}})
    assert parsed.settings == Settings()
    assert "environment variables" in parsed.remarks[key]


def test_no_setting_of_ours_is_a_dangerous_key():
    wire = msgspec.to_builtins(Settings(languages=("python",)))
    assert parse_settings({"seedling": wire}).remarks == {}


@pytest.mark.parametrize(
    ("key", "value"), [("enabled", "yes"), ("confidence", 1.5), ("maxFileBytes", 0), ("languages", "python"), ("no", 1)]
)
def test_unknown_keys_and_wrong_values_are_named_and_cost_only_themselves(key, value):
    parsed = parse_settings({key: value, "manualOnly": True})
    assert parsed.settings == Settings(manual_only=True)
    assert list(parsed.remarks) == [key]


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [("manualonly", "manualOnly"), ("manual_onyl", "manual_only"), ("excludes", "exclude"), ("enable", "enabled")],
)
def test_the_nearest_key_is_named(mistyped, meant):
    assert meant in parse_settings({mistyped: True}).remarks[mistyped]


def test_a_key_that_resembles_nothing_gets_no_guess():
    assert "nearest" not in parse_settings({"fontSize": 12}).remarks["fontSize"]


def test_both_spellings_are_one_key():
    parsed = parse_settings({"manual_only": True, "languagesOff": ["go"], "languages_off": ["rust"]})
    assert parsed == ParsedSettings(Settings(manual_only=True, languages_off=("rust",)), {})


def test_other_clients_keys_are_not_worth_a_word():
    assert parse_settings({"editorInfo": {"name": "Neovim"}}).remarks == {}


@pytest.mark.parametrize(
    "layer",
    [
        {"nextEdit.enable": True},
        {"nextEdit": {"enable": True}},
        {"next_edit": {"enable": True}},
        {"next_edit.enable": True},
        {"next_edit_enable": True},
        {"seedling": {"nextEdit": {"enable": True}}},
    ],
)
def test_settings_of_a_group_are_written_as_one_key_or_as_a_table(layer):
    assert parse_settings(layer) == ParsedSettings(Settings(next_edit_enable=True), {})


def test_a_wrong_key_in_a_group_is_named_whole():
    remarks = parse_settings({"nextEdit": {"enabel": True}}).remarks
    assert "nextEdit.enable" in remarks["nextEdit.enabel"]


def test_an_editors_default_does_not_switch_off_what_the_users_file_switches_on():
    parsed = parse_settings({"nextEdit.enable": False}, user={"next_edit_enable": True})
    assert parsed.settings.next_edit_enable
