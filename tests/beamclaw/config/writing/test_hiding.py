"""No secret is in what is shown, wherever it was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.config.document import parse
from beamclaw.config.writing.hiding import (
    AS_WRITTEN,
    HIDDEN,
    as_json,
    marked,
    without_secrets,
)

CANARY = "canary-4f1e"
PLACES = (
    "gateway: {auth: {token: %s}}",
    "gateway:\n  auth:\n    token:   %s # mine\n",
    "providers: {x: {api: openai, api_key: %s}}",
    "providers: {x: {api_key: [%s, b]}}",
    "providers: {x: {headers: {X-Any: %s}}}",
    "providers: {x: {api_kye: %s}}",
    "skills: {entries: {a: {api_key: %s}}}",
    "skills: {entries: {a: {env: {ANY: %s}}}}",
    "made_up: {password: %s}",
    "made_up: {list: [{my-token: %s}]}",
    "a: &x {api_key: %s}\nb: *x\n",
    "ünïcode: 'ß'\ngateway: {auth: {token: %s}}",
    "gateway: {port: ${P}, auth: {token: %s}}",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", ["%s", '"%s"', "'%s'", '"pre ${A} %s"'])
def test_a_secret_is_not_shown(place: str, value: str):
    shown = without_secrets(place % (value % CANARY))
    assert shown is not None
    assert CANARY not in shown
    assert HIDDEN in shown


def test_a_secret_of_many_lines_is_not_shown():
    text = f"gateway:\n  auth:\n    token: |\n      {CANARY}\n      more\n  port: 1\n"
    shown = without_secrets(text)
    assert shown is not None
    assert CANARY not in shown
    assert "more" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "gateway: {auth: {token: ${BEAMCLAW_TOKEN}}}",
        "gateway: {auth: {token: null}}",
        "# token: nothing\ngateway: {port: 1, host: a}\n",
        "agents: {main: {model: a/b}}",
        "",
    ],
)
def test_the_rest_is_shown_as_it_is_written(text: str):
    assert without_secrets(text) == text


@pytest.mark.parametrize("text", ["a: [", f"token: {CANARY}\n\t- x", "a: !!x 1"])
def test_what_is_no_yaml_is_not_shown_at_all(text: str):
    assert without_secrets(text) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a: {b: __OPENCLAW_REDACTED__}", "a.b"),
        ("a: [1, '[secret]']", "a[1]"),
        ("a: [secret]", "a"),
        ("a: 'Bearer __OPENCLAW_REDACTED__'", "a"),
        ("a: secret", None),
        ("a: [secret, b] # [secret]", None),
    ],
)
def test_a_marker_is_found(text: str, path: str | None):
    tree, _ = parse(text, "", AS_WRITTEN)
    assert marked(tree) == path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("true", True),
        ("no", "no"),
        ("~", None),
        ("'1'", "1"),
        ("1_000", 1000),
        ("${A}", "${A}"),
        ("1" * 30, float("1" * 30)),
    ],
)
def test_values_are_as_json_has_them(text: str, value: object):
    tree, _ = parse(f"a: {text}", "", AS_WRITTEN)
    assert as_json(tree) == {"a": value}


@given(st.text())
def test_no_text_breaks_it(text: str):
    without_secrets(text)
