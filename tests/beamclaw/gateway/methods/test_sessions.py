"""The methods on sessions, asked over a real socket of a real node."""

import pytest

import supervision
import supervision.telemetry
from beamclaw.config.schema import ProviderConfig, SessionsConfig
from tests.beamclaw.gateway.methods.conftest import ended, port, said
from tests.beamclaw.gateway.socket.talk import connected

KEY = "agent:main:main"


async def ok(talk, method, params=None):
    answer = await talk.call(method, params)
    assert answer["ok"], answer
    return answer["payload"]


async def refused(talk, method, params=None):
    answer = await talk.call(method, params)
    assert not answer["ok"], answer
    return answer["error"]


async def begun(talk, key="main", **more):
    return await ok(talk, "sessions.create", {"key": key, **more})


async def test_a_session_is_begun_empty_and_once(talk):
    one = await begun(talk, label="mine")
    assert one["key"] == KEY
    assert one["entry"]["label"] == "mine"
    assert one["runStarted"] is False
    again = await begun(talk, label="other")
    assert again["sessionId"] == one["sessionId"]
    assert again["entry"]["label"] == "mine"


async def test_a_session_begins_with_a_message(talk):
    made = await begun(talk, message="hello", idempotencyKey="k1")
    assert (made["runStarted"], made["runId"]) == (True, "k1")
    row = await ended(talk, KEY)
    assert row["status"] == "done"
    assert row["lastRunId"] == "k1"
    assert row["derivedTitle"] == "hello"
    assert row["modelProvider"] == "demo"


async def test_what_a_session_cannot_begin_with(talk):
    error = await refused(talk, "sessions.create", {"model": "no/such"})
    assert error["code"] == "INVALID_REQUEST"
    assert "no/such" in error["message"]
    error = await refused(talk, "sessions.create", {"worktree": True})
    assert error["message"].startswith("invalid sessions.create params: ")
    error = await refused(talk, "sessions.create", {"key": "agent:main:subagent:x"})
    assert "belong to the node itself" in error["message"]
    error = await refused(talk, "sessions.create", {"agentId": "nobody"})
    assert "there is no agent 'nobody'" in error["message"]
    error = await refused(talk, "sessions.create", {"fork": True})
    assert "parentSessionKey" in error["message"]
    error = await refused(
        talk, "sessions.create", {"key": "agent:bob:x", "agentId": "main"}
    )
    assert "belongs to agent bob" in error["message"]


async def test_sessions_are_listed_by_page(talk):
    for name in ("one", "two", "three"):
        await begun(talk, name, label=name)
    found = await ok(talk, "sessions.list", {"limit": 2})
    assert [row["label"] for row in found["sessions"]] == ["three", "two"]
    assert (found["count"], found["totalCount"], found["hasMore"]) == (2, 3, True)
    rest = await ok(talk, "sessions.list", {"offset": found["nextOffset"]})
    assert [row["label"] for row in rest["sessions"]] == ["one"]
    assert rest["nextOffset"] is None
    assert rest["defaults"]["modelProvider"] == "demo"


@pytest.mark.parametrize(
    "params, labels",
    [
        ({"search": "TWO"}, ["two"]),
        ({"label": "one"}, ["one"]),
        ({"agentId": "bob"}, ["bobs"]),
        ({"archived": True}, ["away"]),
        ({"archived": "all", "search": "a"}, ["away", "bobs", "two", "one"]),
        ({"ownerId": "somebody"}, []),
        ({"spawnedBy": "main"}, []),
        ({"activeMinutes": 1, "search": "bobs"}, ["bobs"]),
    ],
)
async def test_which_sessions_are_listed(talk, params, labels):
    await begun(talk, "one", label="one")
    await begun(talk, "two", label="two")
    await begun(talk, "agent:bob:main", label="bobs")
    await begun(talk, "x", label="away")
    await ok(talk, "sessions.patch", {"key": "x", "archived": True})
    found = await ok(talk, "sessions.list", params)
    assert sorted(row["label"] for row in found["sessions"]) == sorted(labels)


async def test_a_session_is_found_by_all_its_names(talk):
    made = await begun(talk, label="mine")
    by = [
        {"key": "main"},
        {"sessionId": made["sessionId"]},
        {"label": "mine"},
        {"shortId": made["sessionId"][:8]},
    ]
    for params in by:
        found = await ok(talk, "sessions.resolve", params)
        assert (found["ok"], found["key"], found["agentId"]) == (True, KEY, "main")
    error = await refused(talk, "sessions.resolve", {"label": "none"})
    assert error["message"] == "No session found: none"
    missing = {"label": "none", "allowMissing": True}
    assert await ok(talk, "sessions.resolve", missing) == {"ok": False}
    await begun(talk, "other", label="mine")
    error = await refused(talk, "sessions.resolve", {"label": "mine"})
    assert "more than one" in error["message"]
    error = await refused(talk, "sessions.resolve", {})
    assert "exactly one" in error["message"]


async def test_what_was_said_is_read(talk):
    await begun(talk)
    run = await said(talk, KEY, "hello", "k1")
    found = await ok(talk, "sessions.get", {"key": "main"})
    user, assistant = found["messages"][0], found["messages"][-1]
    assert user["role"] == "user"
    assert user["content"] == [{"type": "text", "text": "hello"}]
    assert user["idempotencyKey"] == f"{run}:user"
    assert assistant["role"] == "assistant"
    assert assistant["stopReason"] == "stop"
    assert assistant["__openclaw"]["runId"] == run
    previews = await ok(
        talk, "sessions.preview", {"keys": ["main", "nothing"], "maxChars": 20}
    )
    ours, none = previews["previews"]
    assert ours["status"] == "ok"
    assert ours["items"][0] == {"role": "user", "text": "hello"}
    assert none == {"key": "nothing", "status": "missing", "items": []}
    assert await ok(talk, "sessions.get", {"key": "nothing"}) == {"messages": []}
    assert await ok(talk, "sessions.describe", {"key": "no"}) == {"session": None}


async def test_a_repeat_is_the_same_message(talk):
    await begun(talk)
    await said(talk, KEY, "hello", "k1")
    params = {"key": KEY, "message": "hello", "idempotencyKey": "k1"}
    again = await ok(talk, "sessions.send", params)
    assert again == {"runId": "k1", "status": "ok", "sessionKey": KEY}
    error = await refused(talk, "sessions.send", params | {"message": "other"})
    assert error["details"]["reason"] == "chat-request-conflict"
    error = await refused(talk, "sessions.send", params | {"key": "nothing"})
    assert error["details"]["reason"] == "session-not-found"
    error = await refused(talk, "sessions.send", params | {"message": " "})
    assert error["message"] == "message or attachment required"
    error = await refused(talk, "sessions.send", params | {"idempotencyKey": "../x"})
    assert error["message"].startswith("idempotencyKey has")


async def test_what_is_set_and_taken_back(talk):
    await begun(talk)
    params = {"key": "main", "label": "mine", "thinkingLevel": "high"}
    found = await ok(talk, "sessions.patch", params)
    assert found["entry"]["label"] == "mine"
    assert found["resolved"] == {"modelProvider": "demo", "model": "demo"}
    params = {"key": "main", "label": None, "unread": False, "execAsk": None}
    found = await ok(talk, "sessions.patch", params)
    assert "label" not in found["entry"]
    assert found["entry"]["thinkingLevel"] == "high"
    row = (await ok(talk, "sessions.describe", {"key": "main"}))["session"]
    assert row["thinkingLevel"] == "high"


@pytest.mark.parametrize(
    "params, words",
    [
        ({"label": ""}, "invalid sessions.patch params: at /label"),
        ({"model": "no/such"}, "no/such"),
        ({"thinkingLevel": "endless"}, "invalid sessions.patch params"),
        ({"pinned": True}, "no pinned"),
        ({"execSecurity": "full"}, "no exec security"),
        ({"expectedSessionId": "other", "label": "x"}, "another conversation"),
        ({"lable": "x"}, "did you mean label"),
    ],
)
async def test_what_cannot_be_set(talk, params, words):
    await begun(talk)
    error = await refused(talk, "sessions.patch", {"key": "main", **params})
    assert error["code"] == "INVALID_REQUEST"
    assert words in error["message"]


async def test_several_are_set_each_for_itself(talk):
    await begun(talk)
    targets = [{"key": "main"}, {"key": "nothing"}]
    params = {"targets": targets, "patch": {"label": "both"}}
    found = await ok(talk, "sessions.patchMany", params)
    done, failed = found["outcomes"]
    assert done == {"ok": True, "key": KEY}
    assert failed["error"]["details"]["reason"] == "session-not-found"


async def test_a_conversation_begins_anew(talk):
    made = await begun(talk)
    await said(talk, KEY, "hello", "k1")
    found = await ok(talk, "sessions.reset", {"key": "main"})
    assert found["entry"]["sessionId"] != made["sessionId"]
    assert (await ok(talk, "sessions.get", {"key": "main"}))["messages"] == []


async def test_a_session_is_deleted(talk):
    made = await begun(talk)
    error = await refused(
        talk, "sessions.delete", {"key": "main", "archivedOnly": True}
    )
    assert "was not put away" in error["message"]
    error = await refused(
        talk, "sessions.delete", {"key": "main", "expectedSessionId": "x"}
    )
    assert error["details"]["sessionId"] == made["sessionId"]
    error = await refused(
        talk, "sessions.delete", {"key": "main", "deleteTranscript": False}
    )
    assert "put it away" in error["message"]
    for deleted in (True, False):
        found = await ok(talk, "sessions.delete", {"key": "main"})
        assert found == {"ok": True, "key": KEY, "deleted": deleted, "archived": []}


async def test_a_conversation_goes_back_and_forks(talk):
    await begun(talk)
    await said(talk, KEY, "first", "k1")
    await said(talk, KEY, "second", "k2")
    messages = (await ok(talk, "sessions.get", {"key": KEY}))["messages"]
    users = [m["__openclaw"]["id"] for m in messages if m["role"] == "user"]
    other = next(m["__openclaw"]["id"] for m in messages if m["role"] == "assistant")
    found = await ok(talk, "sessions.fork", {"sessionKey": KEY, "entryId": users[1]})
    assert found["editorText"] == "second"
    texts = await spoken(talk, found["sessionKey"])
    assert (texts[0], "second" in texts) == ("first", False)
    params = {"sessionKey": KEY, "entryId": users[1]}
    assert await ok(talk, "sessions.rewind", params) == {"editorText": "second"}
    assert "second" not in await spoken(talk, KEY)
    ways = (await ok(talk, "sessions.branches.list", {"sessionKey": KEY}))["branches"]
    assert [(way["headline"], way["active"]) for way in ways] == [
        ("first", True),
        ("second", False),
    ]
    leaf = ways[1]["leafEntryId"]
    params = {"sessionKey": KEY, "leafEntryId": leaf}
    assert await ok(talk, "sessions.branches.switch", params) == {}
    assert "second" in await spoken(talk, KEY)
    for entry, words in ((other, "not a user message"), ("99", "not found")):
        error = await refused(
            talk, "sessions.rewind", {"sessionKey": KEY, "entryId": entry}
        )
        assert words in error["message"]
    error = await refused(
        talk, "sessions.branches.switch", {"sessionKey": KEY, "leafEntryId": "99"}
    )
    assert "not a branch tip" in error["message"]


async def test_who_undoes_something_is_told_of_once_and_who_is_refused_is_not(talk):
    told = []
    await begun(talk)
    await said(talk, KEY, "first", "k1")
    messages = (await ok(talk, "sessions.get", {"key": KEY}))["messages"]
    entry = {"sessionKey": KEY, "entryId": messages[0]["__openclaw"]["id"]}
    detach = supervision.telemetry.attach(told.append)
    await ok(talk, "sessions.patch", {"key": KEY, "label": "mine"})
    await ok(talk, "sessions.rewind", entry)
    await ok(talk, "sessions.reset", {"key": KEY})
    await refused(talk, "sessions.delete", {"key": KEY, "archivedOnly": True})
    for _ in range(2):
        await ok(talk, "sessions.delete", {"key": KEY})
    await refused(talk, "sessions.reset", {"key": KEY})
    detach()
    rows = [each.metadata for each in told if each.name == "beamclaw.session.changed"]
    nobody = {"uid": None, "pid": None, "by": "operator", "outcome": "done"}
    assert rows == [
        {"tenant": "default", "session": KEY, "action": action, "what": what, **nobody}
        for action, what in (("rewind", "0"), ("reset", ""), ("delete", ""))
    ]


async def spoken(talk, key):
    messages = (await ok(talk, "sessions.get", {"key": key}))["messages"]
    return [m["content"][0]["text"] for m in messages if m["content"]]


async def test_a_fork_by_create_has_its_parent(talk):
    await begun(talk)
    await said(talk, KEY, "first", "k1")
    params = {"parentSessionKey": "main", "fork": True, "label": "copy"}
    made = await ok(talk, "sessions.create", params)
    row = (await ok(talk, "sessions.describe", {"key": made["key"]}))["session"]
    assert (row["label"], row["parentSessionKey"]) == ("copy", KEY)
    assert row["forkedFromParent"] is True


async def test_nothing_to_stop(talk):
    await begun(talk)
    found = await ok(talk, "sessions.abort", {"key": "main"})
    assert found == {"ok": True, "abortedRunId": None, "status": "no-active-run"}
    found = await ok(talk, "sessions.abort", {"runId": "never"})
    assert found["status"] == "no-active-run"
    error = await refused(talk, "sessions.abort", {})
    assert "key or runId" in error["message"]


async def test_there_are_no_compactions_yet(talk):
    await begun(talk)
    found = await ok(talk, "sessions.compaction.list", {"key": "main"})
    assert found == {"ok": True, "key": KEY, "checkpoints": []}
    for method in ("sessions.compaction.restore", "sessions.compaction.branch"):
        error = await refused(talk, method, {"key": "main", "checkpointId": "3"})
        assert error["message"] == "checkpoint not found: 3"


async def test_a_clean_up_is_asked_for(talk):
    assert (await ok(talk, "sessions.cleanup"))["applied"] is True
    error = await refused(talk, "sessions.cleanup", {"enforce": False})
    assert "cannot be tried" in error["message"]


@pytest.mark.parametrize(
    "method, params, scopes",
    [
        ("sessions.create", {}, ["operator.read"]),
        ("sessions.send", {"key": "main", "message": "x"}, ["operator.read"]),
        ("sessions.abort", {"key": "main"}, ["operator.read"]),
        ("sessions.patch", {"key": "main"}, ["operator.read"]),
        ("sessions.reset", {"key": "main"}, ["operator.write"]),
        ("sessions.delete", {"key": "main"}, ["operator.write"]),
        ("sessions.rewind", {"sessionKey": "main", "entryId": "1"}, ["operator.write"]),
        ("sessions.cleanup", {}, ["operator.write"]),
        ("sessions.list", {}, ["operator.approvals"]),
    ],
)
async def test_who_may_not(start, method, params, scopes):
    async with start(), connected(port(), scopes=scopes) as talk:
        error = await refused(talk, method, params)
        assert error["code"] == "FORBIDDEN"
        assert error["details"]["code"] == "MISSING_SCOPE"


async def test_what_sessions_took(talk):
    await begun(talk, label="mine")
    await said(talk, KEY, "hello", "k1")
    await begun(talk, "other")
    found = await ok(talk, "sessions.usage", {"range": "7d"})
    (row,) = found["sessions"]
    assert (row["key"], row["label"], row["agentId"]) == (KEY, "mine", "main")
    assert row["usage"]["totalTokens"] == found["totals"]["totalTokens"] > 0
    sums = found["aggregates"]
    assert sums["messages"]["assistant"] == found["totals"]["calls"]
    assert [each["model"] for each in sums["byModel"]] == ["demo"]
    assert [each["agentId"] for each in sums["byAgent"]] == ["main"]
    assert sums["daily"][0]["tokens"] == found["totals"]["totalTokens"]
    one = await ok(talk, "sessions.usage", {"key": "main"})
    assert one["totals"] == found["totals"]
    for params in ({"key": "other"}, {"agentId": "bob"}):
        none = await ok(talk, "sessions.usage", params)
        assert (none["sessions"], none["totals"]["totalTokens"]) == ([], 0)
    error = await refused(talk, "sessions.usage", {"endDate": "2020-01-01"})
    assert "has to be today" in error["message"]
    error = await refused(talk, "sessions.usage", {"range": "1d"})
    assert error["message"].startswith("invalid sessions.usage params: ")


SLOW = {"demo": ProviderConfig(api="demo", delay=3600.0)}


async def test_a_turn_in_progress_is_stopped(start):
    async with start(providers=SLOW), connected(port()) as talk:
        await begun(talk, message="hello", idempotencyKey="k1")
        row = await running(talk)
        assert (row["activeRunIds"], row["lastRunId"]) == (["k1"], "k1")
        error = await refused(talk, "sessions.patch", {"key": "main", "archived": True})
        assert error["code"] == "UNAVAILABLE"
        assert error["details"]["reason"] == "turn-in-progress"
        assert "sessions.abort" in error["message"]
        params = {"key": "main", "message": "more", "idempotencyKey": "k2"}
        assert (await ok(talk, "sessions.send", params))["status"] == "started"
        assert (await ok(talk, "sessions.send", params))["status"] == "in_flight"
        params = {"key": "other", "runId": "k1"}
        error = await refused(talk, "sessions.abort", params)
        assert "belongs to another session" in error["message"]
        params = {"key": "main", "clearQueued": True}
        found = await ok(talk, "sessions.abort", params)
        assert (found["status"], found["abortedRunId"]) == ("aborted", "k1")
        row = (await ok(talk, "sessions.describe", {"key": "main"}))["session"]
        assert (row["status"], row["hasActiveRun"]) == ("killed", False)


@pytest.mark.parametrize("method", ["sessions.reset", "sessions.delete"])
async def test_a_turn_in_progress_is_stopped_for_what_ends_its_conversation(
    start, method
):
    async with start(providers=SLOW), connected(port()) as talk:
        await begun(talk, message="hello", idempotencyKey="k1")
        await running(talk)
        params = {"key": "main", "message": "more", "idempotencyKey": "k2"}
        await ok(talk, "sessions.send", params)
        assert (await ok(talk, method, {"key": "main"}))["ok"]
        end = await ok(talk, "agent.wait", {"runId": "k1"})
        assert (end["status"], end["stopReason"]) == ("error", "rpc")
        if method == "sessions.delete":
            end = await ok(talk, "agent.wait", {"runId": "k2"})
            assert (end["status"], end["error"]) == ("error", "aborted")
            assert (await ok(talk, "sessions.describe", {"key": "main"})) == {
                "session": None
            }
        else:
            # What waited behind it is answered in the new conversation.
            assert (await running(talk))["activeRunIds"] == ["k2"]
            assert await spoken(talk, KEY) == ["more"]


async def test_a_turn_is_stopped_by_its_run(start):
    async with start(providers=SLOW), connected(port()) as talk:
        await begun(talk, message="hello", idempotencyKey="k1")
        await running(talk)
        for status in ("aborted", "no-active-run"):
            found = await ok(talk, "sessions.abort", {"runId": "k1"})
            assert found["status"] == status


async def running(talk):
    while True:
        row = (await ok(talk, "sessions.describe", {"key": "main"}))["session"]
        if row.get("status") == "running":
            return row
        # A turn that is over never will be.
        assert row.get("status") in (None, "queued"), row


@pytest.mark.parametrize(
    "method, params, reason",
    [
        ("sessions.create", {"key": "other"}, "create"),
        ("sessions.patch", {"key": "main", "label": "mine"}, "patch"),
        ("sessions.patch", {"key": "main", "archived": True}, "archive"),
        ("sessions.delete", {"key": "main"}, "delete"),
    ],
)
async def test_others_are_told_of_what_is_done(talk, start, method, params, reason):
    await begun(talk)
    async with connected(port(), scopes=["operator.read"]) as other:
        await ok(other, "sessions.subscribe")
        await ok(talk, method, params)
        event = await other.event(
            "sessions.changed", lambda told: told.get("reason") == reason
        )
    key = "agent:main:other" if reason == "create" else KEY
    assert event["payload"]["sessionKey"] == key


async def test_a_list_comes_with_the_subscription(talk):
    await begun(talk, "one", label="one")
    await begun(talk, "two", label="two")
    assert await ok(talk, "sessions.subscribe", {}) == {"subscribed": True}
    found = await ok(talk, "sessions.subscribe", {"limit": 1})
    assert [row["label"] for row in found["list"]["sessions"]] == ["two"]
    assert found["list"]["totalCount"] == 2
    assert found["subscribed"] is True
    error = await refused(talk, "sessions.subscribe", {"limit": 0})
    assert error["message"].startswith("invalid sessions.subscribe params: ")


async def test_who_steers_stops_what_goes_on(start):
    async with start(providers=SLOW), connected(port()) as talk:
        await begun(talk, message="hello", idempotencyKey="k1")
        await running(talk)
        params = {"key": "main", "message": "no, this", "idempotencyKey": "k2"}
        assert (await ok(talk, "sessions.steer", params))["status"] == "started"
        end = await ok(talk, "agent.wait", {"runId": "k1"})
        assert (end["status"], end["error"]) == ("error", "aborted")
        assert (await running(talk))["activeRunIds"] == ["k2"]
        await ok(talk, "sessions.abort", {"key": "main"})


async def test_an_agent_is_woken_by_words(talk):
    found = await ok(talk, "wake", {"mode": "now", "text": "the door bell"})
    await ok(talk, "agent.wait", {"runId": found["runId"]})
    assert (await spoken(talk, KEY))[0] == "the door bell"
    bob = {"mode": "now", "text": "hi", "agentId": "bob", "sessionKey": "x"}
    found = await ok(talk, "wake", bob)
    await ok(talk, "agent.wait", {"runId": found["runId"]})
    assert (await spoken(talk, "agent:bob:x"))[0] == "hi"
    for params, words in (
        ({"mode": "next-heartbeat", "text": "x"}, "no heartbeats"),
        ({"mode": "now", "text": "x", "agentId": "nobody"}, "there is no agent"),
        (
            {"mode": "now", "text": "x", "sessionKey": "agent:main:subagent:x"},
            "belong to the node itself",
        ),
        ({"mode": "now", "text": ""}, "invalid wake params"),
    ):
        assert words in (await refused(talk, "wake", params))["message"]


async def test_a_conversation_is_made_shorter_by_order(start):
    brief = SessionsConfig(keep_tokens=1)
    async with start(sessions=brief), connected(port()) as talk:
        await begun(talk)
        empty = await ok(talk, "sessions.compact", {"key": "main"})
        assert (empty["compacted"], empty["reason"]) == (False, "no transcript")
        for number in range(3):
            await said(talk, KEY, f"number {number}", f"k{number}")
        before = await spoken(talk, KEY)
        await ok(talk, "sessions.subscribe")
        done = await ok(talk, "sessions.compact", {"key": "main"})
        assert (done["ok"], done["compacted"]) == (True, True)
        assert done["result"]["tokensBefore"] > 0
        told = await talk.event(
            "sessions.changed", lambda told: told.get("reason") == "compact"
        )
        assert told["payload"]["sessionKey"] == KEY
        (checkpoint,) = (await ok(talk, "sessions.compaction.list", {"key": "main"}))[
            "checkpoints"
        ]
        assert checkpoint["summary"] == done["result"]["summary"]
        # Nothing is lost to who reads it, and nothing was said by that.
        assert [t for t in await spoken(talk, KEY) if t in before] == before
        again = await ok(talk, "sessions.compact", {"key": "main"})
        assert again["compacted"] is False
        await said(talk, KEY, "and on", "k9")
        error = await refused(talk, "sessions.compact", {"key": "main", "maxLines": 9})
        assert "keep_tokens" in error["message"]
        error = await refused(talk, "sessions.compact", {"key": "none"})
        assert error["details"]["reason"] == "session-not-found"


async def test_a_conversation_in_the_middle_of_a_turn_is_not_made_shorter(start):
    async with start(providers=SLOW), connected(port()) as talk:
        await begun(talk, message="hello", idempotencyKey="k1")
        await running(talk)
        error = await refused(talk, "sessions.compact", {"key": "main"})
        assert error["details"]["reason"] == "turn-in-progress"
        await ok(talk, "sessions.abort", {"key": "main"})
