"""What is proved: clients look into the node and take hold of it, each as far as he may."""

import attrs
import orjson
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
import supervision.telemetry
from beamclaw.config.schema import ShellConfig
from beamclaw.contracts import news
from beamclaw.contracts.looking import INSIDE, LOOKS, METHOD
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.shell import nested
from beamclaw.contracts.statistics import MinuteOver
from beamclaw.gateway.methods.looking import as_json
from beamclaw.shell.methods import METHODS
from beamclaw.shell.passing import PASSED
from tests.beamclaw.gateway.methods.conftest import configuration, port
from tests.beamclaw.gateway.socket.talk import connected


async def order(talk, name_, **params):
    return await talk.call("beamclaw.shell", {"order": name_, "params": params})


async def result(talk, name_, **params):
    answer = await order(talk, name_, **params)
    assert answer["ok"], answer
    return answer["payload"]["result"]


async def tree_of(talk, **params):
    """The tree, which comes in events."""
    id = await talk.request("beamclaw.shell", {"order": "look.tree", "params": params})
    answer = await talk.answer(id)
    assert answer["ok"], answer
    told = [frame["payload"] for frame in talk.events if frame["event"] == METHOD]
    rows = [row for each in told if each["id"] == id for row in each["value"]["rows"]]
    return {**nested(rows), **answer["payload"]["result"]}


# --- who may


def test_each_order_that_is_passed_on_is_one_of_the_shell():
    assert PASSED.keys() == LOOKS | INSIDE
    assert set() == LOOKS & INSIDE
    assert all(PASSED[name] is METHODS[name] for name in PASSED)
    # What lets people in, or speaks for them, has methods of its own with scopes.
    assert not {name for name in PASSED if name.startswith(("keys.", "devices."))}
    assert "chat" not in PASSED
    assert "answer" not in PASSED


@pytest.mark.parametrize("name", sorted(INSIDE))
async def test_the_inside_is_for_who_administers_the_node(start, name):
    async with start():
        async with connected(port(), scopes=["operator.write"]) as talk:
            error = (await order(talk, name, process="ledger"))["error"]
        assert error["details"]["missingScope"] == "operator.admin"


async def test_who_may_look_sees_how_processes_stand(start):
    async with start(), connected(port(), scopes=["operator.read"]) as talk:
        tree = await tree_of(talk)
        assert _named(tree, "gateway")
        assert _named(tree, "ledger")
        info = await result(talk, "look.info", process="ledger")
        assert info["name"] == "default/ledger"
        for name in ("look.limits", "look.slow", "look.sessions"):
            assert await result(talk, name) is not None
        assert (await result(talk, "look.waiting", process="bus"))["stack"]


async def test_the_last_hours_are_there_for_who_may_look(start):
    async with start(), connected(port(), scopes=["operator.read"]) as talk:
        before = await result(talk, "look.history")
        assert before["at"] == []
        usage = Usage(input=10, output=3)
        call = news.Called(
            tenant="default", run_id="r", target=("p", "m"), outcome="server"
        )
        news.tell_called(call, times=(0.0, 0.5, 2.0), usage=usage, cost=7)
        supervision.send("statistics", MinuteOver())
        supervision.send("statistics", MinuteOver())
        found = await result(talk, "look.history")
        assert (found["calls"], found["tokens"]) == ([1, 0], [13, 0])
        assert found["errors"] == {"p": [1, 0]}
        assert found["began"] == before["began"] <= found["at"][0]
        for name in ("lag", "resident", "processes", "turns"):
            assert len(found[name]) == 2
        late = await result(talk, "look.history", since=found["at"][-1])
        assert (late["at"], late["errors"]) == ([], {})
        error = (await order(talk, "look.history", since="today"))["error"]
        assert "since has to be a number" in error["message"]


async def sleeps():
    await trio.sleep_forever()


async def test_a_large_tree_arrives_whole_at_who_may_miss_nothing(start, tmp_path):
    config = configuration(tmp_path / "data").gateway
    # Much less than the tree has, and than one look may have on its way at once.
    small = attrs.evolve(config.socket, max_buffered_bytes=70_000)
    async with start(gateway=attrs.evolve(config, socket=small)):
        top = supervision.tree(depth=0).pid
        assert top is not None
        crowd = supervision.DynamicSupervisor
        pid = await supervision.start_child(
            top, supervision.ChildSpec("crowd", crowd, type="supervisor")
        )
        assert pid is not None
        for number in range(3_000):
            spec = supervision.ChildSpec(f"c{number}", sleeps, restart="temporary")
            await supervision.start_child(pid, spec)
        async with connected(port(), scopes=["operator.read"]) as talk:
            tree = await tree_of(talk, most=100_000)
        (crowded,) = _named(tree, "crowd")
        assert [child["id"] for child in crowded["children"]] == [
            f"c{number}" for number in range(3_000)
        ]
        assert not tree["cut"]


async def test_what_is_not_passed_on_needs_everything_and_is_not_there(start):
    async with start():
        async with connected(port(), scopes=["operator.read"]) as talk:
            error = (await order(talk, "keys.create", name="x"))["error"]
            assert error["details"]["missingScope"] == "operator.admin"
        async with connected(port()) as talk:
            error = (await order(talk, "keys.create", name="x"))["error"]
            assert error["code"] == "INVALID_REQUEST"
            assert "there is no 'keys.create'" in error["message"]


# --- taking hold


async def test_a_process_is_taken_hold_of_and_that_is_told(talk):
    told = []
    detach = supervision.telemetry.attach(told.append)
    before = (await result(talk, "look.info", process="limits"))["pid"]
    await result(talk, "steer.suspend", process="limits")
    assert (await result(talk, "look.info", process="limits"))["suspended"]
    await result(talk, "steer.resume", process="limits")
    done = await result(talk, "steer.restart", process="limits")
    assert done["pid"] == before
    assert done["successor"] not in (None, before)
    detach()
    actions = [
        (event.metadata["action"], event.metadata["by"])
        for event in told
        if event.name == "beamclaw.shell.steered"
        and event.metadata["outcome"] == "done"
    ]
    assert actions == [(each, "operator") for each in ("suspend", "resume", "restart")]


async def test_a_look_that_is_stopped_is_told_as_broken_off(talk):
    told = []
    detach = supervision.telemetry.attach(told.append)
    id = await talk.request(
        "beamclaw.shell", {"order": "trace", "params": {"process": "limits"}}
    )
    await talk.event("beamclaw.shell", lambda payload: payload["id"] == id)
    await talk.call("beamclaw.shell.stop", {"id": id})
    await talk.answer(id)
    await wait_all_tasks_blocked()
    detach()
    looked = [
        (event.metadata["action"], event.metadata["outcome"], event.metadata["by"])
        for event in told
        if event.name == "beamclaw.shell.looked"
    ]
    assert looked == [
        ("trace", "begun", "operator"),
        ("trace", "broken off", "operator"),
    ]


async def test_a_crash_is_seen_in_the_tree_that_is_watched(talk):
    id = await talk.request(
        "beamclaw.shell",
        {"order": "look.top", "params": {"every": 0.1, "tree": True}},
    )

    def ours(payload):
        return payload["id"] == id

    def ledger(event):
        (tenant,) = _named(event["payload"]["value"]["tree"], "tenant:default")
        (found,) = [child for child in tenant["children"] if child["id"] == "limits"]
        return found

    first = ledger(await talk.event("beamclaw.shell", ours))
    await result(talk, "steer.fault", process="limits", kind="crash")
    while True:
        now = ledger(await talk.event("beamclaw.shell", ours))
        if now["restarts"] > first["restarts"] and now["pid"] is not None:
            break
    assert now["pid"] != first["pid"]
    assert "a drill" in now["last_reason"]
    stopped = await talk.call("beamclaw.shell.stop", {"id": id})
    assert stopped["payload"] == {"stopped": True}
    assert (await talk.answer(id))["payload"] == {"result": None, "stopped": True}
    again = await talk.call("beamclaw.shell.stop", {"id": id})
    assert again["payload"] == {"stopped": False}


def _named(tree, name):
    found = [tree] if tree["id"] == name else []
    return found + [each for child in tree["children"] for each in _named(child, name)]


async def test_a_trace_is_told_as_it_happens(talk):
    given = {"order": "trace", "params": {"process": "limits", "most": 1}}
    id = await talk.request("beamclaw.shell", given)
    await talk.event("beamclaw.shell", lambda p: p["value"]["type"] == "tracing")
    await talk.request("beamclaw.shell", {"order": "look.limits"})
    event = await talk.event("beamclaw.shell", lambda p: p["value"]["type"] == "traced")
    assert event["payload"]["id"] == id
    assert "GetLimits" in event["payload"]["value"]["message"]


async def test_nobody_saws_off_the_branch_on_which_he_sits(talk):
    for process in ("beamclaw", "gateway/connections"):
        error = (await order(talk, "steer.kill", process=process))["error"]
        assert error["details"]["reason"] == "refused"
        assert "carries the connection" in error["message"]


async def test_what_was_asked_for_ends_with_the_connection(start):
    async with start():
        async with connected(port()) as talk:
            given = {"order": "steer.fault", "params": {"process": "limits"}}
            given["params"] |= {"kind": "hang", "seconds": 3600}
            await talk.request("beamclaw.shell", given)
            while not (await result(talk, "look.info", process="limits"))["suspended"]:
                pass
        async with connected(port()) as talk:
            while (await result(talk, "look.info", process="limits"))["suspended"]:
                pass


@pytest.mark.parametrize(
    "given, reason",
    [
        ({"order": "look.info", "params": {"process": "nobody"}}, "noprocess"),
        ({"order": "look.info", "params": {}}, "params"),
        ({"order": "look.top", "params": {"every": -1}}, "params"),
    ],
)
async def test_what_cannot_be_done_is_said_in_words(talk, given, reason):
    error = (await talk.call("beamclaw.shell", given))["error"]
    assert error["details"]["reason"] == reason
    assert error["message"]


# --- Python

PYTHON = (
    ("eval", {"expression": "1 + 1"}),
    (
        "steer.replace",
        {"process": "limits", "field": "warnings", "expression": "old"},
    ),
)


@pytest.mark.parametrize("name, params", PYTHON)
@pytest.mark.parametrize("allowed", [False, True, "socket"])
async def test_what_holds_on_the_socket_lets_no_expression_in_here(
    start, name, params, allowed
):
    told = []
    detach = supervision.telemetry.attach(told.append)
    config = ShellConfig(expressions=allowed)
    async with start(shell=config), connected(port()) as talk:
        error = (await order(talk, name, **params))["error"]
    detach()
    assert error["details"]["reason"] == "refused"
    assert "`shell: {expressions: everywhere}`" in error["message"]
    outcomes = [
        event.metadata["outcome"].partition(":")[0]
        for event in told
        if event.name == "beamclaw.shell.steered"
    ]
    assert outcomes == ["begun", "refused"]


@pytest.mark.parametrize("name, params", PYTHON)
async def test_an_expression_runs_over_the_gateway_where_that_is_allowed(
    start, name, params
):
    async with start(shell=ShellConfig(expressions="everywhere")):
        async with connected(port()) as talk:
            assert await result(talk, name, **params)
        async with connected(port(), scopes=["operator.write"]) as talk:
            error = (await order(talk, name, **params))["error"]
    assert error["details"]["missingScope"] == "operator.admin"


def test_half_a_character_is_written_out():
    sent = orjson.dumps(as_json({"a\ud800": ["\udfff", 1, None]}))
    assert sent == b'{"a\\\\ud800":["\\\\udfff",1,null]}'
