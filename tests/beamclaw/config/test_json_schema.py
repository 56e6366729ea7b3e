"""What is proved: the schema takes what the loader takes, and says what is secret."""

import json

import jsonschema
import pytest
import yaml

from beamclaw.cli import main
from beamclaw.config.__main__ import schema_text
from beamclaw.config.including import INCLUDE
from beamclaw.config.json_schema import file_schema, hints, json_schema, lookup
from beamclaw.config.reference import SCHEMA_FILE, default_file, keys
from beamclaw.config.schema import Config
from beamclaw.contracts.resources import resource

SCHEMA = json_schema()
CHECK = jsonschema.Draft7Validator(SCHEMA)
OF_FILES = jsonschema.Draft7Validator(file_schema())


@pytest.mark.parametrize("check", [CHECK, OF_FILES])
def test_it_is_a_schema_that_takes_the_default_file(check):
    jsonschema.Draft7Validator.check_schema(check.schema)
    faults = check.iter_errors(yaml.safe_load(default_file()))
    assert [fault.json_path for fault in faults] == []


def test_the_default_file_names_a_schema_that_stands_beside_it():
    first = default_file().partition("\n")[0]
    assert first == f"# yaml-language-server: $schema={SCHEMA_FILE}"
    text = (resource("config") / SCHEMA_FILE).read_text()
    assert text == schema_text(), "run: python -m beamclaw.config"


@pytest.mark.parametrize(
    "text",
    [
        "$include: a.yaml",
        "$include: [a.yaml, b.yaml]\ngateway: {port: 1}",
        "agents: {$include: a.yaml, main: {}}",
        "agents: {main: {$include: a.yaml, reset: {$include: b.yaml}}}",
        "providers: {x: {headers: {$include: a.yaml}, api_key: {$include: b.yaml}}}",
        "providers: {x: {api_key: [{$include: a.yaml}, text]}}",
        "gateway: {auth: {token: {$include: a.yaml}}}",
        "tools: {exec: {env: {$include: [a.yaml], A: b}}}",
    ],
)
def test_an_include_may_stand_in_each_mapping_of_a_file(text):
    assert not list(OF_FILES.iter_errors(yaml.safe_load(text)))
    # Forms are of all files together: there is none to name.
    assert list(CHECK.iter_errors(yaml.safe_load(text)))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("agents: {$include: 3}", "$.agents['$include']"),
        ("agents: {$include: []}", "$.agents['$include']"),
        ("agents: {$include: {a: b}}", "$.agents['$include']"),
        ("gateway: {$include: a.yaml, prot: 1}", "$.gateway"),
        ("gateway: {$include: a.yaml, port: x}", "$.gateway.port"),
    ],
)
def test_an_include_is_a_name_or_a_list_and_what_is_beside_is_judged(text, where):
    faults = OF_FILES.iter_errors(yaml.safe_load(text))
    assert [fault.json_path for fault in faults] == [where]


def test_no_form_asks_for_an_include():
    assert not [path for path in hints(SCHEMA) if INCLUDE in path]
    assert lookup(SCHEMA, f"gateway/{INCLUDE}") is None


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("gateway: {prot: 1}", "$.gateway"),
        ("gateway: {port: 70000}", "$.gateway.port"),
        ("gateway: {port: 1.5}", "$.gateway.port"),
        ("gateway: {auth: {mode: open}}", "$.gateway.auth.mode"),
        ("agents: {main: {model: 3}}", "$.agents.main.model"),
        ("agents: [main]", "$.agents"),
        ("providers: {x: {headers: {a: 1}}}", "$.providers.x.headers.a"),
        ("limits: {turn: {seconds: -1}}", "$.limits.turn.seconds"),
    ],
)
def test_it_refuses_what_the_loader_refuses(text, where):
    faults = CHECK.iter_errors(yaml.safe_load(text))
    assert [fault.json_path for fault in faults] == [where]


def test_every_key_is_in_it_with_its_words_and_default():
    for key in keys(Config()):
        found = lookup(SCHEMA, key.path)
        assert found is not None, key.path
        if key.doc and not key.nested:
            assert found["description"] == " ".join(key.doc.split())
    port = lookup(SCHEMA, "gateway.port")
    assert port is not None
    assert port["default"] == 18789


@pytest.mark.parametrize(
    "path", ["gateway.prot", "gateway.port.x", "providers.x.y.z", "agents.*.nothing"]
)
def test_what_is_no_key_is_not_found(path):
    assert lookup(SCHEMA, path) is None


def test_forms_are_told_what_is_secret():
    secret = {path for path, hint in hints(SCHEMA).items() if hint.get("sensitive")}
    assert {
        "gateway.auth.token",
        "gateway.auth.password",
        "providers.*.api_key",
        "providers.*.headers.*",
    } <= secret
    assert "gateway.port" not in secret


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_the_command_line_prints_it(capsys, more):
    assert main(["config", "schema", *more]) == 0
    said = capsys.readouterr().out
    assert json.loads(said) == file_schema()
    assert more or said == schema_text()
