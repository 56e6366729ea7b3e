"""What a command asks about sessions, over the table of methods of the node's socket."""

from typing import Any

import attrs
import pytest
from trio.testing import MockClock

import supervision
from beamclaw.cli.history import History
from beamclaw.config import Config
from beamclaw.config.current import Current
from beamclaw.contracts.outside import Outside
from beamclaw.shell.methods import METHODS
from beamclaw.shell.request import Failed, Node

from .conftest import BOUNDS, KEY, Model, Tenant
from .test_outputs import Says
from .test_session import Held
from .test_tools import report, use


async def ask(tenant: Tenant, method: str, **params: Any) -> Any:
    """The result, or the events if there are some."""
    node = Node(
        current=Current(Config()),
        bus=tenant.bus,
        outside=Outside(wall=tenant.wall),
        version="1",
    )
    events: list[Any] = []

    async def send(event: object) -> None:
        events.append(event)

    result = await METHODS[f"sessions.{method}"](node, params, send)
    return events or result


async def refused(tenant: Tenant, method: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(Failed) as caught:
        await ask(tenant, method, **params)
    return caught.value.code, str(caught.value)


async def listed(tenant: Tenant, **params: Any) -> list[str]:
    return [row["key"] for row in await ask(tenant, "list", **params)]


async def test_sessions_are_listed_the_latest_first(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    tenant.wall.add(1)
    await tenant.ask("two", key="agent:main:x")
    tenant.wall.add(1)
    await tenant.ask("single", key="agent:main:openai:1", ephemeral=True)
    assert await listed(tenant) == ["agent:main:x", KEY]
    assert await listed(tenant, limit=1, offset=1) == [KEY]
    assert len(await listed(tenant, all=True)) == 3
    await ask(tenant, "archive", session="x")
    assert await listed(tenant) == [KEY]
    assert await listed(tenant, archived=True) == ["agent:main:x"]
    await ask(tenant, "unarchive", session="x")
    (row,) = await ask(tenant, "list", limit=1)
    assert (row["channel"], row["label"], row["archived_at"]) == ("test", None, None)
    assert row["age"] > 0


async def test_a_key_may_be_short_or_whole_or_another_agents(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one", key="agent:other:x")
    for given in (
        {"session": "x", "agent": "other"},
        {"session": "agent:other:x"},
        {"session": "agent:other:x", "agent": "main"},
    ):
        found = await ask(tenant, "patch", **given)
        assert found["key"] == "agent:other:x"


async def test_what_is_set_is_told_and_what_cannot_be_wakes_nobody(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await tenant.kill(f"default/session/{KEY}")
    code, words = await refused(tenant, "patch", session="main", changes={"x": "y"})
    assert (code, "there are label, model" in words) == ("params", True)
    assert supervision.whereis(f"default/session/{KEY}") is None
    changes = {"thinking": "low", "label": "mine"}
    found = await ask(tenant, "patch", session="main", changes=changes)
    assert (found["thinking"], found["label"], found["model"]) == ("low", "mine", None)
    found = await ask(tenant, "patch", session="main", changes={"thinking": None})
    assert (found["thinking"], found["label"]) == (None, "mine")


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        (
            "reset",
            {"session": "mian"},
            r"no session agent:main:mian; did you mean agent",
        ),
        ("reset", {"session": "quite:another"}, "no session agent:main:quite:another"),
        ("history", {"session": "x y"}, "a session key consists of"),
        ("reset", {}, "session has to be a text"),
        ("rewind", {"session": "main", "to": "1"}, "to has to be a whole number"),
        ("rewind", {"session": "main", "to": 3}, "inside a turn; turns end at 0, 5"),
        ("rewind", {"session": "main"}, "to has to be a whole number"),
        (
            "fork",
            {"session": "main", "new": "main"},
            "there is a session agent:main:main",
        ),
        ("fork", {"session": "main", "new": "cron:x"}, "belong to the node itself"),
        ("patch", {"session": "main", "changes": []}, "changes have to be an object"),
        ("patch", {"session": "main", "changes": {"label": 1}}, "is a text, or null"),
        ("list", {"limit": 0.5}, "limit has to be a whole number"),
        ("list", {"all": 1}, "all has to be true or false"),
    ],
)
async def test_what_cannot_be_done_is_told(
    tenant: Tenant,
    method: str,
    params: dict[str, Any],
    words: str,
    autojump_clock: MockClock,
) -> None:
    await tenant.ask("one")
    code, told = await refused(tenant, method, **params)
    assert words in told
    assert code in ("params", "refused")


async def test_stop_ends_the_turn_and_what_waits(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    first = await tenant.send("one")
    await held.reached.wait()
    second, third = await tenant.send("two"), await tenant.send("three")
    _, words = await refused(tenant, "delete", session="main")
    assert "stop it first (beamclaw sessions stop agent:main:main)" in words
    found = await ask(tenant, "stop", session="main")
    assert sorted(found["stopped"]) == ["run-1", "run-2", "run-3"]
    for receipt in (first, second, third):
        assert (await tenant.end(receipt)).outcome == "aborted"
    assert len(model.calls) == 1
    assert (await ask(tenant, "stop", session="main"))["stopped"] == []
    assert (await ask(tenant, "delete", session="main"))["deleted"]


async def test_a_fork_gets_a_key_if_none_is_given(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    found = await ask(tenant, "fork", session="main")
    assert found["key"].startswith("agent:main:fork:")
    again = await ask(tenant, "fork", session="main", new="b", at=5)
    assert again == {"key": "agent:main:b", "parent": KEY}
    assert await ask(tenant, "fork", session="main", new="b", at=5) == again


async def shown(tenant: Tenant, *, every: bool = False) -> list[str]:
    history = History(every=every)
    events = await ask(tenant, "history", session="main", all=every)
    return [line for event in events for line in history.lines(event)]


async def test_the_history_is_of_this_conversation_or_of_all(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await tenant.ask("two\nlines")
    await ask(tenant, "rewind", session="main", to=5)
    assert await shown(tenant) == [
        "you: one",
        "main: you said: one",
        "--- 5",
        "=== 11 back to event 5",
    ]
    await tenant.ask("/new three")
    assert await shown(tenant) == [
        "=== 12 a new conversation, by /new",
        "you: three",
        "main: you said: three",
        "--- 17",
    ]
    every = await shown(tenant, every=True)
    assert every[3:8] == [
        "· you: two",
        "·   lines",
        "· main: you said: two",
        "·   lines",
        "· --- 10",
    ]
    assert every[-4:] == await shown(tenant)


async def test_an_output_that_was_cut_is_named_by_the_history_and_had_whole(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    text = "ä\n" * 140_000
    model.tools = {"say": Says(text)}
    model.scripts = [use(("say", {})), report]
    async with open_tenant(bounds=attrs.evolve(BOUNDS, kept=10**6)) as tenant:
        await tenant.ask("say it")
        (named,) = [line for line in await shown(tenant) if "all that is kept" in line]
        assert named.endswith("beamclaw sessions output run-1/call_0]")
        pieces = await ask(tenant, "output", output="run-1/call_0")
        assert len(pieces) == 2
        assert "".join(piece["text"] for piece in pieces) == text
        (rest,) = await ask(tenant, "output", output="run-1/call_0", offset=279_998)
        assert rest["text"] == "ä\n"
        await ask(tenant, "delete", session="main")
        _, words = await refused(tenant, "output", output="run-1/call_0")
        assert "no output run-1/call_0 is kept" in words


async def test_the_history_as_lines_for_programs(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await tenant.ask("two")
    await ask(tenant, "rewind", session="main", to=5)
    head, *events = await ask(tenant, "history", session="main", all=True)
    assert (head["type"], head["key"], head["seq"]) == ("session", KEY, 11)
    assert [event["seq"] for event in events] == list(range(1, 12))
    assert [event["parent"] for event in events] == [*range(10), 5]
    assert [event["counts"] for event in events] == [True] * 5 + [False] * 5 + [True]
    assert events[0]["body"]["messages"][0]["parts"] == [{"text": "one", "_": "Text"}]
    assert (events[1]["run_id"], events[1]["kind"]) == ("run-1", "run-started")


async def test_a_body_that_is_too_long_is_left_out(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr("beamclaw.shell.sessions.MOST_OF_BODY", 200)
    await tenant.ask("x" * 500)
    _, *events = await ask(tenant, "history", session="main")
    assert events[0]["body"]["left_out"] > 500
    assert any("body" in event and "epoch" in event["body"] for event in events)
    # And for a person, too.
    monkeypatch.undo()
    assert History(every=False).lines(events[0])
    assert list(History(every=False).lines(events[0])) == ["[left out: it is too long]"]
