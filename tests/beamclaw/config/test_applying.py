"""What a changed configuration means for a node that runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from beamclaw.config.applying import RULES, plan, rule_of
from beamclaw.config.current import Current
from beamclaw.config.loader import load_text
from beamclaw.config.schema import Config
from beamclaw.config.structure import keys_of


def read(text: str) -> Config:
    return load_text(text, Path("/x/beamclaw.yaml"), {}, folder=Path("/x/data")).config


def keys(cls: type, path: str = "") -> Iterator[str]:
    """Every key that stands by itself, tables by their own name."""
    for name, field in keys_of(cls).items():
        at = f"{path}{name}"
        inner: Any = field.type
        if isinstance(inner, type) and attrs.has(inner):
            yield from keys(inner, f"{at}.")
        else:
            yield at


def test_every_key_has_a_rule_and_every_rule_a_key():
    every = set(keys(Config))
    for path in every:
        assert rule_of(path).when
    for path in RULES:
        assert any(f"{key}.".startswith(f"{path}.") for key in every), path


def test_what_waits_for_a_start_says_why():
    for path, rule in RULES.items():
        assert (rule.when == "start") == bool(rule.why), path


@pytest.mark.parametrize(
    ("before", "after", "parts", "left"),
    [
        ("", "", [], []),
        ("", "limits: {day: {tokens: 5}}", [], []),
        ("", "shutdown: {drain_seconds: 1}", [], []),
        ("", "sessions: {idle_seconds: 5}", [], []),
        ("", "agents: {second: {}}", ["skills"], []),
        ("", "skills: {allow: [x]}", ["skills"], []),
        ("", "logging: {level: debug}", ["telemetry"], []),
        ("", "providers: {x: {api: demo}}", ["providers"], []),
        ("", "gateway: {max_messages: 5}", ["gateway/server"], []),
        ("", "hooks: {max_body_bytes: 5}", ["gateway/server"], []),
        ("", "gateway: {port: 5, max_messages: 5}", ["gateway/listener"], []),
        ("", "gateway: {port: 5, auth: {rate_limit: {window: 5}}}", ["gateway"], []),
        ("", "ledger: {max_batch: 5}", [], ["ledger.max_batch"]),
        ("", "ledger: {cache_bytes: 70000}", [], ["ledger.cache_bytes"]),
        (
            "tools: {max_calls: 7}",
            "tools: {max_calls: 9, profile: minimal}",
            [],
            ["tools.max_calls"],
        ),
    ],
)
def test_what_is_begun_anew_and_what_is_left(before, after, parts, left):
    was, wanted = read(before), read(after)
    todo = plan(was, wanted)
    assert list(todo.parts) == parts
    assert [change.path for change in todo.left] == left
    for change in todo.changes:
        assert change.path not in left
    # What holds is what was wanted, but for what is left; and then nothing is to do.
    again = plan(todo.config, wanted)
    assert not again.changes
    assert list(again.left) == list(todo.left)


def test_what_waits_keeps_its_old_value_beside_what_holds():
    todo = plan(
        read("tools: {max_calls: 7}"), read("tools: {max_calls: 9, profile: minimal}")
    )
    assert todo.config.tools.max_calls == 7
    assert todo.config.tools.profile == "minimal"


def test_what_is_read_and_made_is_of_what_holds_now():
    current = Current(read(""))
    port = current.reading(lambda config, add: config.gateway.port + add)
    made: list[int] = []

    def make(config: Config) -> tuple[int]:
        made.append(config.gateway.port)
        return (config.gateway.port,)

    value = current.made(make)
    assert port(1) == 18790
    assert value() is value()
    current.change(read("gateway: {port: 5}"))
    assert port(1) == 6
    assert value() == (5,)
    assert made == [18789, 5]
