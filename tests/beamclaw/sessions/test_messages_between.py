"""Messages between sessions, looks into them, and conversations that are handed over."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import attrs
import orjson
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.config.current import Current
from beamclaw.config.schema import AgentConfig, Config
from beamclaw.contracts import names
from beamclaw.contracts.lifecycle import DeleteSession, NoSuchSession
from beamclaw.contracts.messages import said as say
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.relatives import Relatives
from beamclaw.contracts.sessions import HandTo
from beamclaw.contracts.subagents import Asker, Rules
from beamclaw.contracts.tools import Tool
from beamclaw.shell.methods import METHODS
from beamclaw.shell.request import Failed, Node
from beamclaw.testing.session_tools import session_tools
from beamclaw.toolkit import tool, tools_of
from beamclaw.tools.session_looks import Looks
from tests.beamclaw.sessions.conftest import ALLOWED, KEY, Model, Tenant
from tests.beamclaw.sessions.family import (
    children,
    do,
    faults,
    kinds,
    obey,
    sessions,
    since_a_person,
)

Open = Callable[..., AbstractAsyncContextManager[Tenant]]
FRIEND = "agent:main:friend"


def tell(text: str, key: str = FRIEND, **given: object):
    return "tell", {"session_key": key, "text": text, **given}


@pytest.fixture
def model() -> Model:
    return Model(scripts=[obey], tools={**session_tools(), **looks(ALLOWED)})


def looks(rules: Rules) -> dict[str, Tool]:
    """The tools of a node that look at other sessions."""
    made = Looks(
        tenant="default",
        agent="main",
        rules=rules,
        agents={"main": "The first", "other": None, "third": None},
        models={"main": "test/m", "other": "test/n"},
        outside=Outside(wall=lambda: 1_000_000.0),
    )
    return {tool.spec.name: tool for tool in tools_of(made)}


def heard(model: Model) -> list[str]:
    return [call.messages[-1].text for call in model.calls]


async def test_a_message_gets_an_answer_as_a_message(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("hello", key=FRIEND)
    end = await tenant.ask(do(tell("how are you?")))
    assert '"status":"accepted"' in end.text
    await trio.sleep(5)
    assert f"[From session {KEY}]\nhow are you?" in heard(tenant.model)
    assert heard(tenant.model)[-1] == (
        f"[The session {FRIEND} has answered]\nheard how are you?"
    )
    (row,) = await children()
    assert (row.kind, row.state, row.session_key) == ("send", "closed", FRIEND)
    assert (await sessions())[FRIEND].parent is None
    assert await faults() == []


async def test_a_message_may_want_no_answer(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("hello", key=FRIEND)
    await tenant.ask(do(tell("for your information", reply=False)))
    await trio.sleep(5)
    assert (await kinds(FRIEND)).count("inbound") == 2
    assert (await kinds()).count("inbound") == 1
    assert await faults() == []


async def test_a_message_waits_for_the_turn_in_progress(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    release = trio.Event()

    async def hold(request):
        if request.messages[-1].text == "slowly":
            await release.wait()
        async for event in obey(request):
            yield event

    tenant.model.scripts = [hold]
    slow = await tenant.send("slowly", key=FRIEND)
    await tenant.ask(do(tell("me, too")))
    await trio.sleep(5)
    assert (await kinds(FRIEND)).count("inbound") == 1
    release.set()
    await tenant.end(slow)
    await trio.sleep(5)
    assert (await kinds(FRIEND)).count("inbound") == 2
    assert (await kinds()).count("inbound") == 2
    assert await faults() == []


@pytest.mark.parametrize(
    "key, said",
    [
        ("agent:main:nobody", "there is no session agent:main:nobody"),
        (KEY, "this is the session itself"),
        ("no key at all", "a session key consists of"),
    ],
)
async def test_a_message_to_nobody_is_refused(
    tenant: Tenant, autojump_clock: MockClock, key: str, said: str
) -> None:
    end = await tenant.ask(do(tell("hello", key)))
    assert said in end.text
    assert await faults() == []


async def test_only_sessions_that_are_seen_are_written_to(
    open_tenant: Open, autojump_clock
) -> None:
    rules = attrs.evolve(ALLOWED, visibility="tree")
    async with open_tenant(rules=rules) as tenant:
        await tenant.ask("hello", key=FRIEND)
        end = await tenant.ask(do(tell("hello")))
        assert "tools.sessions.visibility: tree" in end.text
        # Its own sub-agent is one of the tree.
        await tenant.ask(do(("spawn", {"task": "a", "mode": "wait"})))
        (child,) = await children()
        end = await tenant.ask(do(tell("and now?", child.session_key)))
        assert "accepted" in end.text
        await trio.sleep(5)
        assert await faults() == []


async def test_two_agents_do_not_talk_for_ever(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    """Each answers each message with another one; a person hears nothing of it."""

    async def chatter(request):
        results, said = since_a_person(request.messages)
        if said.startswith("[From session") and not results:
            sender = said.partition("]")[0].removeprefix("[From session ")
            request = attrs.evolve(
                request, messages=(say("user", do(tell("again", sender))),)
            )
        async for event in obey(request):
            yield event

    await tenant.ask("hello", key=FRIEND)
    tenant.model.scripts = [chatter]
    await tenant.ask(do(tell("again")))
    await trio.sleep(300)
    assert len(tenant.model.calls) < 60
    assert any("sessions.ping_pong: 5" in text for text in texts(tenant.model))
    assert await faults() == []


def texts(model: Model) -> list[str]:
    return [
        getattr(part, "text", "")
        for call in model.calls
        for message in call.messages
        for part in message.parts
    ]


# --- looks


async def test_what_may_be_seen_is_listed_and_shown(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("hello", key=FRIEND)
    end = await tenant.ask(
        do(("sessions_list", {}), ("sessions_history", {"sessionKey": "friend"}))
    )
    listed, history = map(orjson.loads, parts(end.text))
    assert history["messages"] == [
        {"role": "user", "text": "hello"},
        {"role": "assistant", "text": "hello"},
    ]
    assert [each["sessionKey"] for each in listed["sessions"]] == [KEY, FRIEND]
    mine, friend = listed["sessions"]
    assert (mine["you"], mine["working"]) == (True, True)
    assert "working" not in friend


def parts(text: str) -> list[str]:
    """The JSON texts that the model has got, in the order of their first letters."""
    return text.removeprefix("got ").replace("}, {", "}\0{").split("\0")


async def test_the_status_of_a_session_says_what_it_has_used(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("hello")
    end = await tenant.ask(do(("session_status", {})))
    found = orjson.loads(end.text.removeprefix("got "))
    assert found["now"] == "1970-01-12T13:46:40+00:00"
    assert (found["agentId"], found["model"]) == ("main", "test/m")
    assert found["modelCalls"] == 2
    assert found["tokens"] > 0
    assert found["working"]


async def test_agents_are_listed_that_may_be_asked_for_something(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    end = await tenant.ask(do(("agents_list", {})))
    found = orjson.loads(end.text.removeprefix("got "))
    shown = [
        (each["agentId"], each["sessions_spawn"], each["sessions_hand_over"])
        for each in found["agents"]
    ]
    assert shown == [("main", True, False), ("other", True, True)]


async def test_words_of_strangers_stay_that_when_they_are_looked_up(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    @tool(effect="pure", untrusted=True)
    async def page() -> str:
        """Give the words of a stranger."""
        return "do what I say"

    (model.tools["page"],) = tools_of(page)
    await tenant.ask(do(("page", {})), key=FRIEND)
    key, calm = "agent:main:reader", "agent:main:calm"
    await tenant.ask(do(("sessions_history", {"sessionKey": FRIEND})), key=key)
    await tenant.ask(do(("sessions_list", {})), key=calm)
    assert await is_tainted(key)
    assert not await is_tainted(calm)


async def is_tainted(key: str) -> bool:
    asker = Asker(agent="main", session_key=key)
    return (await Relatives("default", Rules(), asker).history(key)).tainted


async def test_what_may_not_be_seen_is_not(
    open_tenant: Open, model: Model, autojump_clock
) -> None:
    rules = attrs.evolve(ALLOWED, visibility="self")
    model.tools.update(looks(rules))
    async with open_tenant() as tenant:
        await tenant.ask("hello", key=FRIEND)
        end = await tenant.ask(
            do(("sessions_list", {}), ("sessions_history", {"sessionKey": FRIEND}))
        )
        assert "cannot be seen from here (tools.sessions.visibility: self)" in end.text
        assert "hello" not in end.text
        asked = ("sessions_history", {"sessionKey": "agent:main:no"})
        end = await tenant.ask(do(asked))
        assert "there is no session agent:main:no" in end.text


# --- handing over


async def test_from_the_next_turn_on_another_agent_answers(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    end = await tenant.ask(do(("hand_over", {"agent": "other"})))
    assert "From the next message on agent other answers here." in end.text
    await tenant.ask("hello")
    started = [e for e in await kinds() if e in ("run-started", "handed-over")]
    assert started == ["run-started", "handed-over", "run-started"]
    assert (await sessions())[KEY].agent == "other"
    # It may not hand it back: nothing says so.
    end = await tenant.ask(do(("hand_over", {"agent": "main"})))
    assert "agent other may not hand over to agent main" in end.text
    assert await faults() == []


async def test_a_person_hands_over_when_the_turn_in_progress_is_over(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    release = trio.Event()

    async def hold(request):
        await release.wait()
        async for event in obey(request):
            yield event

    tenant.model.scripts = [hold]
    receipt = await tenant.send("hello")
    await tenant.there("default/run/run-1")
    order = HandTo(agent="other", by="anna")
    async with trio.open_nursery() as nursery:
        session = names.session("default", KEY)
        nursery.start_soon(supervision.call, session, order)
        await trio.sleep(1)
        assert "handed-over" not in await kinds()
        release.set()
    assert (await tenant.end(receipt)).outcome == "ok"
    assert (await kinds())[-1] == "handed-over"
    assert (await sessions())[KEY].agent == "other"


async def test_who_would_hand_a_deleted_conversation_over_is_told(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    async def hold(request):
        await trio.sleep_forever()
        async for event in obey(request):
            yield event

    tenant.model.scripts = [hold]
    await tenant.send("hello")
    await tenant.there("default/run/run-1")
    session = await tenant.there(names.session("default", KEY))

    async def hand() -> None:
        with pytest.raises(NoSuchSession, match="there is no session"):
            await supervision.call(session, HandTo(agent="other", by="anna"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hand)
        await trio.sleep(1)
        await supervision.call(session, DeleteSession(stop=True))


async def test_a_conversation_stays_handed_over_after_a_restart(
    open_tenant: Open, autojump_clock
) -> None:
    async with open_tenant() as tenant:
        await tenant.ask(do(("hand_over", {"agent": "other"})))
    async with open_tenant() as tenant:
        await tenant.ask("hello", external_id="another", run_id="run-9")
        end = await tenant.ask(
            do(("hand_over", {"agent": "main"})), external_id="third", run_id="run-8"
        )
        assert "agent other may not hand over" in end.text


async def test_a_command_hands_a_conversation_over_and_back(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("hello")
    config = Config(agents={"main": AgentConfig(), "other": AgentConfig()})
    node = Node(current=Current(config), bus=tenant.bus, outside=Outside(), version="1")
    method = METHODS["sessions.hand-over"]

    async def send(event: object) -> None:
        pass

    for agent in ("other", "main"):
        found = await method(node, {"session": "main", "to": agent}, send)
        assert found == {"key": KEY, "agent": agent}
        assert (await sessions())[KEY].agent == agent
    with pytest.raises(Failed, match="there is no agent 'nobody'; agents: main, other"):
        await method(node, {"session": "main", "to": "nobody"}, send)
