"""Who has which tools: the policy, case by case."""

from collections.abc import Mapping
from typing import Any

import pytest

from beamclaw.config.loader import load
from beamclaw.config.tool_names import GROUPS, PROFILES
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.subagents import Rules
from beamclaw.contracts.toolbox import Caller
from beamclaw.tools.policy import Entry, cut, layers, names, refusal
from beamclaw.tools.session_acts import session_acts
from beamclaw.tools.sessions import session_tools

EXEC = Entry(name="exec", group="runtime")
READ = Entry(name="read", group="fs")
STATUS = Entry(name="session_status", group="sessions")
WEATHER = Entry(name="weather", group="plugins", plugin=True)
# Somebody else's package that says of itself that it is about files.
SLY = Entry(name="sly_read", group="fs", plugin=True)
ALL = (EXEC, READ, STATUS, WEATHER, SLY)


def has(tmp_path: Any, text: str, **caller: Any) -> str:
    file = tmp_path / "b.yaml"
    file.write_text(text)
    env = {"OPENAI_API_KEY": "sk-x"}
    config = load(env, file=file, data=tmp_path).config
    held = layers(config, Caller(**{"agent": "main", **caller}))
    return " ".join(each.name for each in ALL if refusal(each, held) is None)


EVERYTHING = "exec read session_status weather sly_read"


@pytest.mark.parametrize(
    "text, expected",
    [
        # Nothing is said: everything.
        ("", EVERYTHING),
        # Profiles.
        ("tools: {profile: minimal}", "session_status"),
        ("tools: {profile: coding}", "exec read session_status"),
        ("tools: {profile: messaging}", "session_status"),
        ("tools: {profile: full}", EVERYTHING),
        # Without a profile, what is allowed is all there is; with one, it is added.
        ("tools: {allow: [read]}", "read"),
        ("tools: {profile: minimal, allow: [read]}", "read session_status"),
        (
            "tools: {profile: coding, allow: [weather]}",
            "exec read session_status weather",
        ),
        # Groups and patterns. A package is in no group of ours, whatever it says.
        ("tools: {allow: ['group:fs']}", "read"),
        ("tools: {allow: ['group:plugins']}", "weather sly_read"),
        ("tools: {allow: ['group:openclaw']}", "exec read session_status"),
        ("tools: {allow: ['*_read']}", "sly_read"),
        # What is denied is gone, whatever else is said, and by whom.
        ("tools: {deny: [exec]}", "read session_status weather sly_read"),
        ("tools: {allow: [exec, read], deny: [exec]}", "read"),
        ("tools: {deny: ['*']}", ""),
        # Here it counts what a package says of itself.
        ("tools: {deny: ['group:fs']}", "exec session_status weather"),
        ("tools: {deny: ['group:plugins']}", "exec read session_status"),
        # An agent's own stand in place of the node's, but what is denied stays so.
        (
            "{tools: {profile: minimal}, agents: {main: {tools: {profile: full}}}}",
            EVERYTHING,
        ),
        (
            "{tools: {profile: minimal}, agents: {main: {tools: {allow: [read]}}}}",
            "read",
        ),
        (
            "{tools: {profile: minimal}, agents: {main: {tools: {deny: [read]}}}}",
            "session_status",
        ),
        (
            "{tools: {deny: [exec]}, agents: {main: {tools: {allow: [exec, read]}}}}",
            "read",
        ),
        ("{agents: {main: {}, other: {tools: {deny: ['*']}}}}", EVERYTHING),
        # By provider it only becomes less.
        ("tools: {by_provider: {demo: {profile: minimal}}}", "session_status"),
        (
            "tools: {by_provider: {demo/m: {deny: [exec]}}}",
            "read session_status weather sly_read",
        ),
        ("tools: {by_provider: {demo/other: {deny: [exec]}}}", EVERYTHING),
        ("tools: {by_provider: {openai: {deny: [exec]}}}", EVERYTHING),
        ("tools: {deny: [exec], by_provider: {demo: {allow: [exec, read]}}}", "read"),
        (
            "{tools: {by_provider: {demo: {allow: [exec]}}}, agents: {main: {tools: {profile: full}}}}",
            "exec",
        ),
        (
            "agents: {main: {tools: {by_provider: {demo: {deny: ['group:runtime']}}}}}",
            "read session_status weather sly_read",
        ),
    ],
)
def test_who_has_what(tmp_path: Any, text: str, expected: str):
    assert has(tmp_path, text, provider="demo", model="m") == expected


@pytest.mark.parametrize(
    "text, words",
    [
        ("tools: {deny: ['group:runtime']}", "tools.deny has group:runtime"),
        ("tools: {allow: [read]}", "tools.allow does not have it"),
        (
            "agents: {main: {tools: {profile: messaging}}}",
            "it is not in agents.main.tools.profile, messaging, nor in agents.main.tools.allow",
        ),
        (
            "tools: {by_provider: {demo: {deny: [exec]}}}",
            "tools.by_provider.demo.deny has exec",
        ),
    ],
)
def test_why_it_is_not_there_is_said_with_the_key(tmp_path: Any, text: str, words: str):
    file = tmp_path / "b.yaml"
    file.write_text(text)
    held = layers(
        load({}, file=file, data=tmp_path).config, Caller(agent="main", provider="demo")
    )
    assert refusal(EXEC, held) == words


@pytest.mark.parametrize(
    "depth, deepest, expected",
    [
        (0, 2, "sessions_spawn sessions_send sessions_hand_over sessions_yield"),
        (1, 2, "sessions_spawn sessions_yield"),
        (2, 2, "sessions_yield"),
        (0, 0, "sessions_send sessions_hand_over sessions_yield"),
    ],
)
def test_sub_agents_have_less(tmp_path: Any, depth: int, deepest: int, expected: str):
    config = load({}, data=tmp_path).config
    tools: Mapping[str, Any] = {tool.spec.name: tool for tool in session_acts()}
    caller = Caller(agent="main", depth=depth)
    box = cut(tools, layers(config, caller), Rules(depth=deepest), caller)
    assert " ".join(box.specs) == expected
    assert {*box.specs, *box.denied} == {*tools}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", True),
        ("tools: {profile: minimal}", True),
        ("tools: {allow: [session_status]}", True),
        ("tools: {by_provider: {demo: {allow: [session_status]}}}", True),
        ("tools: {deny: [read_output]}", False),
        ("tools: {deny: ['group:sessions']}", False),
        # There is nothing to read on in.
        ("tools: {allow: [web_fetch]}", False),
        ("tools: {deny: [session_status, agents_list]}", False),
        ("tools: {max_kept: 0}", False),
    ],
)
def test_whoever_has_a_tool_may_read_what_it_said(
    tmp_path: Any, text: str, expected: bool
):
    file = tmp_path / "b.yaml"
    file.write_text(text)
    config = load({}, file=file, data=tmp_path).config
    caller = Caller(agent="main", provider="demo")
    made = session_tools(config, Outside(), Rules(), "default", "main")
    few = {"read_output", "session_status", "agents_list"}
    given = {tool.spec.name: tool for tool in made if tool.spec.name in few}
    box = cut(given, layers(config, caller), Rules(), caller)
    assert ("read_output" in box.tools) is expected
    assert {*box.tools, *box.denied} == {*given}


@pytest.mark.parametrize("group, name", [(g, n) for g in GROUPS for n in GROUPS[g]])
def test_each_tool_that_is_built_in_can_be_taken_away(
    tmp_path: Any, group: str, name: str
):
    tool = Entry(name=name, group=group)
    file = tmp_path / "b.yaml"
    for denied in (name, f"group:{group}", "group:openclaw"):
        file.write_text(f"tools: {{allow: ['*'], deny: ['{denied}']}}")
        held = layers(load({}, file=file, data=tmp_path).config, Caller(agent="main"))
        assert refusal(tool, held) == f"tools.deny has {denied}"


def test_profiles_name_groups_that_exist():
    entries = [Entry(name=n, group=g) for g, names_ in GROUPS.items() for n in names_]
    for terms in PROFILES.values():
        for term in terms:
            group = term.removeprefix("group:")
            known = group in GROUPS if group != term else True
            assert known or any(names(term, each) for each in entries), term
