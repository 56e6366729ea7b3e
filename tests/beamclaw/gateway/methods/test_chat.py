"""What is proved: a message that expects something else than is there is not taken."""

import json
from typing import Any

import pytest
import trio

import supervision
from beamclaw.config.schema import ProviderConfig, SessionsConfig
from beamclaw.contracts import news
from beamclaw.contracts.points import SIDES, hooked
from tests.beamclaw.gateway.socket.talk import Talk, connected

from .conftest import ended, port

KEY = "agent:main:main"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def send(talk: Talk, id: str, **more: Any) -> Any:
    asked = {"sessionKey": "main", "message": id, "idempotencyKey": id}
    answer = await talk.call("chat.send", asked | more)
    if answer["ok"]:
        await ended(talk, KEY)
        return answer["payload"]
    return answer["error"]["details"]["reason"]


async def history(talk: Talk) -> tuple[str, list[str]]:
    """Id of the conversation, and of its messages."""
    payload = (await talk.call("chat.history", {"sessionKey": "main"}))["payload"]
    return payload["sessionId"], [
        each["__openclaw"]["id"] for each in payload["messages"]
    ]


async def test_a_message_stands_behind_the_one_that_its_sender_has_seen(talk: Talk):
    first = await send(talk, "k1", expectedLeafEntryId=None)
    assert first["status"] == "started"
    # Asked again it is the same, though there is a last message by now.
    assert (await send(talk, "k1", expectedLeafEntryId=None))["status"] == "ok"
    assert await send(talk, "k2", expectedLeafEntryId=None) == "active-leaf-changed"
    session_id, ids = await history(talk)
    assert await send(talk, "k2", expectedLeafEntryId=ids[0]) == "active-leaf-changed"
    other = {"expectedLeafEntryId": ids[-1], "sessionId": "other"}
    assert await send(talk, "k2", **other) == "active-leaf-changed"
    assert (await send(talk, "k2", expectedLeafEntryId=ids[-1]))["status"] == "started"
    # Who names the conversation may have seen an earlier part of it.
    earlier = {"expectedLeafEntryId": ids[0], "sessionId": session_id}
    assert (await send(talk, "k3", **earlier))["status"] == "started"
    gone = {"expectedLeafEntryId": "99", "sessionId": session_id}
    assert await send(talk, "k4", **gone) == "active-leaf-changed"


@pytest.mark.parametrize(
    "given, reason",
    [
        ({"expectedPermissionMode": "full"}, "session-settings-changed"),
        ({"expectedToolOverrides": {"webSearch": False}}, "session-settings-changed"),
        ({"expectedSessionRoutingContract": "x"}, "session-routing-changed"),
    ],
)
async def test_what_no_session_has_here_cannot_be_expected(talk: Talk, given, reason):
    assert await send(talk, "k1", **given) == reason
    nothing = {"expectedPermissionMode": None, "expectedToolOverrides": {}}
    assert (await send(talk, "k1", **nothing))["status"] == "started"


SLOW = {"demo": ProviderConfig(api="demo", delay=3600.0)}


@pytest.mark.parametrize("method", ["chat.history", "chat.startup"])
async def test_whoever_comes_back_is_told_what_a_turn_has_said_so_far(start, method):
    main = {"sessionKey": "main"}
    async with start(providers=SLOW), connected(port()) as talk:
        none = (await talk.call(method, main))["payload"]
        assert "inFlightRun" not in none
        await talk.call("sessions.subscribe")
        asked = {"message": "hi", "idempotencyKey": "k1"}
        await talk.call("chat.send", main | asked)
        await talk.event("chat", lambda told: told["state"] == "delta")
        await talk.call("chat.send", main | asked | {"idempotencyKey": "k2"})
        async with connected(port()) as other:
            found = (await other.call(method, main))["payload"]
            assert found["inFlightRun"] == {"runId": "k1", "text": "You"}
            assert found["sessionInfo"]["activeRunIds"] == ["k1", "k2"]
            await other.call("sessions.abort", {"key": "main", "clearQueued": True})
            found = (await other.call(method, main))["payload"]
            assert "inFlightRun" not in found
            assert found["sessionInfo"]["activeRunIds"] == []


@pytest.mark.slow  # it waits until the door has not answered for five seconds
async def test_a_turn_between_two_runs_is_in_flight_without_words(start):
    main = {"sessionKey": "main"}
    async with start(providers=SLOW), connected(port()) as talk:
        await talk.call("sessions.subscribe")
        asked = {"message": "hi", "idempotencyKey": "k1"}
        await talk.call("chat.send", main | asked)
        await talk.event("chat", lambda told: told["state"] == "delta")
        pid = supervision.whereis("default/sessions")
        assert pid is not None
        await supervision.sys.suspend(pid)
        with trio.fail_after(30):
            found = await talk.call("chat.history", main)
        await supervision.sys.resume(pid)
        assert found["payload"]["inFlightRun"] == {"runId": "k1", "text": ""}


NOTE = {"sessionKey": "main", "message": "remember"}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("point", ["session.note", "session.order-done"])
async def test_a_note_whose_session_dies_over_it_is_noted_once(talk: Talk, point, side):
    await send(talk, "k1")
    _, before = await history(talk)
    crashes = [f"{point}.{side}"]

    def crash(reached: str) -> None:
        if reached in crashes:
            crashes.remove(reached)
            raise RuntimeError(point)

    with hooked(crash):
        answer = await talk.call("chat.inject", NOTE)
    assert (answer["ok"], crashes) == (True, [])
    _, ids = await history(talk)
    assert ids == [*before, answer["payload"]["messageId"]]


async def test_a_note_that_comes_again_under_its_key_stands_there_once(talk: Talk):
    await send(talk, "k1")
    _, before = await history(talk)
    first = await talk.call("chat.inject", NOTE | {"idempotencyKey": "n1"})
    again = await talk.call("chat.inject", NOTE | {"idempotencyKey": "n1"})
    assert again["payload"] == first["payload"]
    other = {"message": "forget", "idempotencyKey": "n1"}
    error = (await talk.call("chat.inject", NOTE | other))["error"]
    assert error["details"]["reason"] == "chat-request-conflict"
    assert (await history(talk))[1] == [*before, first["payload"]["messageId"]]


async def test_a_steered_message_that_comes_again_is_the_same_one(start):
    main = {"sessionKey": "main", "queueMode": "steer"}
    async with start(providers=SLOW), connected(port()) as talk:
        for key in ("k1", "k2"):
            asked = main | {"message": key, "idempotencyKey": key}
            for status in ("started", "in_flight"):
                answer = await talk.call("chat.send", asked)
                assert answer["payload"] == {"runId": key, "status": status}
            other = await talk.call("chat.send", asked | {"message": "other"})
            assert other["error"]["details"]["reason"] == "chat-request-conflict"
            # How it waits is not what was said.
            again = await talk.call("chat.send", asked | {"queueMode": "followup"})
            assert again["payload"]["status"] == "in_flight"
        await talk.call("sessions.abort", {"key": "main", "clearQueued": True})
        for key in ("k1", "k2"):
            asked = main | {"message": key, "idempotencyKey": key}
            answer = await talk.call("chat.send", asked)
            assert answer["payload"] == {"runId": key, "status": "ok"}


@pytest.mark.parametrize("method", ["chat.history", "chat.startup"])
async def test_messages_that_wait_for_their_turn_are_shown_beside_the_others(
    start, method
):
    main = {"sessionKey": "main"}
    async with start(providers=SLOW), connected(port()) as talk:
        await talk.call("sessions.subscribe")
        for key in ("k1", "k2", "k3"):
            said = {"message": f"I say {key}", "idempotencyKey": key}
            await talk.call("chat.send", main | said)
            if key == "k1":
                await talk.event("chat", lambda told: told["state"] == "delta")
        found = (await talk.call(method, main))["payload"]
        assert [words(each) for each in found["messages"]] == ["I say k1"]
        waiting = found["pendingInputs"]
        assert waiting["total"] == 2
        assert "nextBefore" not in waiting
        second, third = waiting["items"]
        assert [each["runId"] for each in (second, third)] == ["k2", "k3"]
        assert [words(each["message"]) for each in (second, third)] == [
            "I say k2",
            "I say k3",
        ]
        assert {each["state"] for each in (second, third)} == {"queued"}
        assert second["message"]["timestamp"] == second["acceptedAt"] > 1e12

        last = (await talk.call("chat.history", main | {"limit": 1}))["payload"]
        assert last["pendingInputs"]["items"] == [third]
        before = {"pendingBefore": last["pendingInputs"]["nextBefore"]}
        rest = (await talk.call("chat.history", main | before))["payload"]
        assert rest["pendingInputs"] == {"items": [second], "total": 2}
        cut = (await talk.call("chat.history", main | {"maxChars": 3}))["payload"]
        assert words(cut["pendingInputs"]["items"][0]["message"]) == "I s…"


async def test_a_client_that_comes_back_learns_what_became_of_what_it_has_sent(start):
    main = {"sessionKey": "main"}
    ours = {"inputRunIds": ["k1", "k2", "nobody"]}
    async with start(providers=SLOW), connected(port()) as talk:
        await talk.call("sessions.subscribe")
        for key in ("k1", "k2"):
            said = {"message": key, "idempotencyKey": key}
            await talk.call("chat.send", main | said)
            if key == "k1":
                await talk.event("chat", lambda told: told["state"] == "delta")
        found = (await talk.call("chat.history", main | ours))["payload"]
        (message,) = found["messages"]
        taken = {"runId": "k1", "consumedByEventId": message["__openclaw"]["id"]}
        assert found["inputReceipts"] == [
            taken | {"state": "consumed"},
            {"runId": "k2", "state": "pending"},
        ]
        assert found["inputConsumptions"] == [taken]
        await talk.call("sessions.abort", {"runId": "k1"})
        await talk.event(
            "session.message",
            lambda told: told["message"].get("idempotencyKey") == "k2:user",
        )
        found = (await talk.call("chat.history", main | ours))["payload"]
        assert [each["state"] for each in found["inputReceipts"]] == ["consumed"] * 2
        assert found["pendingInputs"] == {"items": [], "total": 0}
        # Nobody has asked.
        found = (await talk.call("chat.history", main))["payload"]
        assert "inputReceipts" not in found


def words(message: Any) -> str:
    return message["content"][0]["text"]


@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("chat.send", "sessionKey"),
        ("sessions.send", "key"),
        ("sessions.steer", "key"),
    ],
)
async def test_a_message_says_how_long_its_turn_may_take(start, method, where):
    async with start(providers=SLOW), connected(port()) as talk:
        await talk.call("sessions.create", {"key": KEY})
        asked = {where: KEY, "message": "hi", "idempotencyKey": "k1", "timeoutMs": 250}
        assert (await talk.call(method, asked))["payload"]["status"] == "started"
        await talk.call("agent.wait", {"runId": "k1", "timeoutMs": 60_000})
        assert "0.25 seconds (as was asked for with the message)" in await last_words(
            talk
        )


async def last_words(talk: Talk) -> str:
    found = (await talk.call("chat.history", {"sessionKey": KEY}))["payload"]
    return found["messages"][-1]["content"][-1]["text"]


@pytest.mark.parametrize("leaves", [False, True])
async def test_the_time_of_an_agent_s_turn_is_over_though_its_client_may_be_gone(
    start, leaves
):
    given = {"message": "hi", "idempotencyKey": "k1", "sessionKey": KEY, "timeout": 1}
    async with start(providers=SLOW):
        async with connected(port()) as talk:
            asked = await talk.request("agent", given)
            assert (await talk.answer(asked))["payload"]["status"] == "accepted"
            if not leaves:
                late = {"runId": "k1", "status": "timeout", "summary": "timeout"}
                assert (await talk.answer(asked))["payload"] == late
        async with connected(port()) as talk:
            await talk.call("agent.wait", {"runId": "k1", "timeoutMs": 60_000})
            if leaves:
                words = "1 seconds (as was asked for with the message)"
                assert words in await last_words(talk)


async def test_a_message_that_another_ones_turn_answers_is_over_with_that(start):
    main = {"sessionKey": "main", "queueMode": "collect"}
    quick = SessionsConfig(collect_ms=1)
    async with (
        start(providers=SLOW, sessions=quick) as node,
        connected(port()) as talk,
        connected(port()) as other,
    ):
        del node
        await other.call("sessions.subscribe")
        for key in ("k1", "k2", "k3"):
            asked = main | {"message": key, "idempotencyKey": key}
            await talk.call("chat.send", asked)
        await talk.call("sessions.abort", {"runId": "k1"})
        # One turn answers both; the message is shown under its own key.
        row = await other.event(
            "session.message",
            lambda told: told["message"].get("idempotencyKey") == "k3:user",
        )
        assert row["payload"]["runId"] == "k2"
        k3 = main | {"message": "k3", "idempotencyKey": "k3"}
        assert (await talk.call("chat.send", k3))["payload"]["status"] == "in_flight"
        await talk.call("sessions.abort", {"runId": "k2"})
        assert (await talk.call("chat.send", k3))["payload"]["status"] == "ok"
        again = {"key": "main", "message": "k3", "idempotencyKey": "k3"}
        found = (await talk.call("sessions.send", again))["payload"]
        assert (found["runId"], found["status"]) == ("k3", "ok")


@pytest.mark.parametrize(
    "method, where, stopped",
    [
        (
            "chat.abort",
            {"sessionKey": "main"},
            {"ok": True, "aborted": True, "runIds": ["k3"]},
        ),
        (
            "sessions.abort",
            {},
            {"ok": True, "abortedRunId": "k3", "status": "aborted"},
        ),
    ],
)
async def test_a_turn_is_stopped_by_any_message_that_it_answers(
    start, method, where, stopped
):
    main = {"sessionKey": "main", "queueMode": "collect"}
    quick = SessionsConfig(collect_ms=1)
    async with start(providers=SLOW, sessions=quick), connected(port()) as talk:
        await talk.call("sessions.subscribe")
        for key in ("k1", "k2", "k3"):
            asked = main | {"message": key, "idempotencyKey": key}
            await talk.call("chat.send", asked)
        await talk.call("sessions.abort", {"runId": "k1"})
        await talk.event(
            "session.message",
            lambda told: told["message"].get("idempotencyKey") == "k3:user",
        )
        stop = where | {"runId": "k3"}
        assert (await talk.call(method, stop))["payload"] == stopped
        assert (await talk.call(method, stop))["payload"] != stopped
        for key in ("k2", "k3"):
            end = (await talk.call("agent.wait", {"runId": key}))["payload"]
            assert (end["status"], end["error"]) == ("error", "aborted")


@pytest.mark.parametrize("given, kept", [(PARENT, PARENT), ("nonsense", "")])
async def test_the_frame_of_a_request_says_to_whose_trace_it_belongs(
    talk: Talk, given: str, kept: str
):
    seen: list[object] = []
    told = trio.Event()

    def take(event: supervision.Event) -> None:
        if event.name == news.TURN_ENDED:
            seen.append(event.metadata["traceparent"])
            told.set()

    detach = supervision.telemetry.attach(take)
    params = {"sessionKey": "main", "message": "hello", "idempotencyKey": "k1"}
    frame = {"type": "req", "id": "x", "method": "chat.send", "params": params}
    await talk.send(json.dumps({**frame, "traceparent": given}))
    assert (await talk.answer("x"))["ok"]
    await told.wait()
    detach()
    assert seen == [kept]


async def test_a_message_is_shown_of_the_conversation_that_is_meant_or_not(talk: Talk):
    await send(talk, "k1")
    session_id, (first, *_) = await history(talk)
    asked = {"sessionKey": "main", "messageId": first}

    async def shown(**given: Any) -> Any:
        answer = await talk.call("chat.history", given)
        return answer["payload"]["messages"] if answer["ok"] else answer["error"]

    (message,) = await shown(**asked, sessionId=session_id)
    assert message["__openclaw"]["id"] == first
    await talk.call("sessions.reset", {"key": "main"})
    for key in ("main", "agent:main:none"):
        error = await shown(**asked | {"sessionKey": key}, sessionId=session_id)
        assert error["details"]["reason"] == "session-changed"
    error = await shown(sessionKey="main", sessionId=session_id)
    assert "give both" in error["message"]


async def test_a_word_behind_a_slash_can_be_said_without_meaning_anything(talk: Talk):
    await send(talk, "k1")
    session_id, before = await history(talk)
    await send(talk, "k2", message="/new", suppressCommandInterpretation=True)
    same, ids = await history(talk)
    assert (same, len(ids)) == (session_id, len(before) + 2)
    await send(talk, "k3", message="/new")
    assert (await history(talk))[0] != session_id


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"deliver": True}, "there is no channel"),
        ({"fastMode": True}, "no model has a fast mode here"),
        ({"fastMode": "auto"}, "no model has a fast mode here"),
    ],
)
async def test_what_cannot_be_done_with_a_message_is_refused(talk: Talk, given, words):
    asked = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"}
    error = (await talk.call("chat.send", asked | given))["error"]
    assert words in error["message"]
    plain = {"deliver": False, "fastMode": False}
    assert (await send(talk, "k1", **plain))["status"] == "started"


async def agent(talk: Talk, id: str, **more: Any) -> Any:
    """The first of the two answers of `agent`; or its error."""
    asked = await talk.request("agent", {"message": id, "idempotencyKey": id} | more)
    answer = await talk.answer(asked)
    if not answer["ok"]:
        return answer["error"]["message"]
    final = (await talk.answer(asked))["payload"]
    assert (final["status"], final["runId"]) == ("ok", answer["payload"]["runId"])
    return answer["payload"]


async def test_an_agent_is_spoken_to_in_the_conversation_with_an_id(talk: Talk):
    await talk.call("sessions.create", {"key": "agent:main:other"})
    made = await talk.call("sessions.describe", {"key": "agent:main:other"})
    session_id = made["payload"]["session"]["sessionId"]
    said = await agent(talk, "k1", sessionId=session_id)
    assert said["sessionKey"] == "agent:main:other"
    bob = await agent(talk, "k2", sessionId=session_id, agentId="bob")
    assert bob == f"there is no session with the id {session_id!r}"
    # The key goes before, and what was taken is the same message under another id, too.
    assert (await agent(talk, "k3", sessionKey="main", sessionId=session_id))[
        "sessionKey"
    ] == KEY
    await talk.call("sessions.reset", {"key": "agent:main:other"})
    again = await agent(talk, "k1", sessionId=session_id)
    assert (again["sessionKey"], again["runId"]) == ("agent:main:other", said["runId"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sessionId": "nobody's"}, 'no session with the id "nobody\'s"'),
        ({"to": "+15550100"}, "no channels to find a person by"),
        ({"label": "mine"}, "sessions.patch"),
    ],
)
async def test_a_conversation_that_nothing_here_can_find_is_not_the_main_one(
    talk: Talk, given, words
):
    assert words in await agent(talk, "k1", **given)
    found = await talk.call("sessions.describe", {"key": KEY})
    assert found["payload"]["session"] is None
