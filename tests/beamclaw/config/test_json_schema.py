"""What is proved: the schema takes what the loader takes, and says what is secret."""

import json

import jsonschema
import pytest
import yaml

from beamclaw.cli import main
from beamclaw.config.json_schema import hints, json_schema, lookup
from beamclaw.config.reference import default_file, keys
from beamclaw.config.schema import Config

SCHEMA = json_schema()
CHECK = jsonschema.Draft7Validator(SCHEMA)


def test_it_is_a_schema_that_takes_the_default_file():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    faults = CHECK.iter_errors(yaml.safe_load(default_file()))
    assert [fault.json_path for fault in faults] == []


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
    assert json.loads(capsys.readouterr().out) == SCHEMA
