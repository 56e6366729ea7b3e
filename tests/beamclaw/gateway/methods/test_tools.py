"""What is proved: a client's order is under the policies of a turn, and stricter ones."""

from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import orjson
import pytest
import trio

import supervision
from beamclaw.config.schema import InvokeConfig, ToolsConfig
from beamclaw.config.tool_names import GROUPS
from beamclaw.contracts import gateway
from beamclaw.contracts.devices import NAME, SCOPES, Actor, CreateKey
from beamclaw.contracts.gateway import drain
from beamclaw.contracts.tools import Tool
from beamclaw.gateway.methods import _invoking as invoking
from beamclaw.testing.world import World
from tests.beamclaw.gateway.edge import TOKEN, until
from tests.beamclaw.gateway.methods.conftest import configuration, ended, port
from tests.beamclaw.gateway.socket.talk import connected
from tests.support.inside import open_inside
from tests.support.wire import Connection


def tool(**more):
    return {"name": "put", "args": {"text": "hi"}, **more}


@attrs.frozen
class _Exec:
    """Another tool, under a name that is on the list."""

    inner: Tool

    @property
    def spec(self):
        return attrs.evolve(self.inner.spec, name="exec")

    def __getattr__(self, name):
        return getattr(self.inner, name)


NOTHING_SAID = InvokeConfig()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def start(tmp_path: Path, world: World):
    """A node whose agents have the tools of a world, and ``exec`` beside them."""

    @asynccontextmanager
    async def opened(tools: InvokeConfig = NOTHING_SAID, **more):
        config = configuration(tmp_path / "data", **more)
        config = attrs.evolve(
            config,
            gateway=attrs.evolve(config.gateway, tools=tools),
            tools=ToolsConfig(deny=("order",)),
        )
        given = world.tools()
        box = {**given, "exec": _Exec(given["send"])}
        async with open_inside(config, toolbox=lambda _: box) as node:
            await node.url()
            yield node

    return opened


async def key(*names: str) -> str:
    actor = Actor(by="owner", scopes=SCOPES)
    order = CreateKey(actor=actor, tenant="default", name="bot", scopes=names)
    return (await supervision.call(NAME, order)).secret


async def post(body: object, *, token: str = TOKEN, **headers: str):
    address = gateway.address()
    assert address is not None
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    given = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    with await Connection.open(address.url) as connection:
        return await connection.request("POST", "/tools/invoke", given, raw)


def json(answer):
    return answer.status, orjson.loads(answer.body)


async def test_a_tool_is_carried_out_over_the_socket_and_over_http(start, world):
    async with start(), connected(port()) as talk:
        answer = await talk.call("tools.invoke", tool())
        output = {"content": [{"type": "text", "text": "put: hi"}]}
        assert answer["payload"] == {
            "ok": True,
            "toolName": "put",
            "output": output,
            "source": "core",
        }
        status, body = json(await post({"tool": "put", "args": {"text": "ho"}}))
        assert (status, body["ok"]) == (200, True)
        assert body["result"]["content"][0]["text"] == "put: ho"
    done = [one["arguments"]["text"] for one in world.effects("put")]
    assert done == ["hi", "ho"]


async def test_whoever_waits_for_a_tool_when_the_node_stops_is_told_so(start, world):
    begun = trio.Event()

    async def hold(order):
        begun.set()
        await trio.sleep_forever()

    world.before = hold
    answers = []
    async with start(), trio.open_nursery() as nursery:

        async def ask():
            answers.append(json(await post(tool())))

        nursery.start_soon(ask)
        await begun.wait()
        assert not await drain(0)
        await until(lambda: answers)
    ((status, body),) = answers
    assert (status, body["ok"]) == (503, False)


@pytest.mark.parametrize(
    "order, code, status, kind, words",
    [
        ({"name": "nothing"}, "not_found", 404, "not_found", "there is no tool"),
        ({"name": "order"}, "not_found", 404, "not_found", "tools.deny has order"),
        ({"name": "exec"}, "not_found", 404, "not_found", "gateway.tools.allow"),
        ({"name": "look"}, "not_found", 404, "not_found", "gateway.tools.deny"),
        (
            tool(args={"text": "fail"}),
            "tool_error",
            400,
            "tool_error",
            "it was told to fail",
        ),
    ],
)
async def test_what_is_not_carried_out_is_said_in_words(
    start, world, *, order, code, status, kind, words
):
    tools = InvokeConfig(deny=("look",))
    async with start(tools), connected(port()) as talk:
        payload = (await talk.call("tools.invoke", order))["payload"]
        assert (payload["ok"], payload["error"]["code"]) == (False, code)
        assert words in payload["error"]["message"]
        found, body = json(await post(order))
        assert (found, body["ok"], body["error"]["type"]) == (status, False, kind)
        assert words in body["error"]["message"]
    assert world.effects() == []


@pytest.mark.parametrize(
    "body, words",
    [
        ({}, "name, or tool"),
        ({"name": "put", "more": 1}, "more"),
        ({"name": "put", "args": []}, "args"),
        ({"name": "put", "dryRun": True}, "dryRun"),
        ({"name": "put", "agentId": "nobody"}, "nobody"),
        ({"name": "put", "sessionKey": "agent:main:subagent:x"}, "subagent"),
        ({"name": "put", "sessionKey": "agent:bob:main", "agentId": "main"}, "agent"),
        (b"{", "JSON"),
        ({"name": "put", "idempotencyKey": "a b"}, "visible"),
    ],
)
async def test_an_order_that_is_none_is_refused(start, world, *, body, words):
    async with start():
        status, answer = json(await post(body))
        assert (status, answer["ok"]) == (400, False)
        assert answer["error"]["type"] == "invalid_request"
        assert words in answer["error"]["message"]
    assert world.effects() == []


async def test_under_one_key_it_is_done_once_whichever_way_it_is_asked(start, world):
    order = {"name": "send", "args": {"text": "x"}}
    async with start(), connected(port()) as talk:
        first = await talk.call("tools.invoke", {**order, "idempotencyKey": "k"})
        again = await talk.call("tools.invoke", {**order, "idempotencyKey": "k"})
        assert first["payload"]["output"] == again["payload"]["output"]
        _, body = json(await post(order, idempotency_key="k"))
        assert body["result"] == first["payload"]["output"]
        other = await talk.call("tools.invoke", tool(idempotencyKey="k"))
        assert other["error"]["details"]["reason"] == "chat-request-conflict"
        status, _ = json(await post(tool(idempotencyKey="k")))
        assert status == 409
    assert len(world.effects()) == 1


async def test_where_a_person_has_to_agree_the_client_is_told_whom_to_ask(start, world):
    world.asks = "always"
    order = {"name": "send", "args": {"text": "x"}}
    async with start(), connected(port()) as talk:
        asked = {**order, "idempotencyKey": "k"}
        payload = (await talk.call("tools.invoke", asked))["payload"]
        assert payload["requiresApproval"]
        assert payload["error"]["code"] == "requires_approval"
        # Whoever asks again meanwhile is told the same.
        again = (await talk.call("tools.invoke", asked))["payload"]
        assert again["approvalId"] == payload["approvalId"]
        status, body = json(await post(asked))
        assert status == 403
        assert body["error"]["approvalId"] == payload["approvalId"]
        assert world.effects() == []
        answer = {"id": payload["approvalId"], "decision": "allow-once"}
        assert (await talk.call("exec.approval.resolve", answer))["ok"]
        done = (await talk.call("tools.invoke", asked))["payload"]
        assert done["output"]["content"][0]["text"] == "send: x"
    assert len(world.effects()) == 1


async def test_in_a_session_it_stands_in_its_history(start, world):
    async with start(), connected(port()) as talk:
        order = tool(sessionKey="main")
        assert (await talk.call("tools.invoke", order))["payload"]["ok"]
        await ended(talk, "agent:main:main")
        found = await talk.call("chat.history", {"sessionKey": "main"})
        roles = [row["role"] for row in found["payload"]["messages"]]
        assert roles == ["user", "assistant", "toolResult"]


async def test_what_is_on_the_list_takes_an_administrator(start, world):
    tools = InvokeConfig(allow=("exec",))
    order = {"name": "exec", "args": {"text": "x"}}
    async with start(tools):
        status, body = json(await post(order, token=await key("operator.write")))
        assert status == 404
        assert "operator.admin" in body["error"]["message"]
        status, _ = json(await post(order, token=await key("operator.admin")))
        assert status == 200
    assert len(world.effects()) == 1


async def test_whoever_may_only_look_orders_nothing(start, world):
    async with start():
        status, body = json(await post(tool(), token=await key("operator.read")))
        assert (status, body["ok"]) == (403, False)
        assert body["error"]["type"] == "missing_scope"
        async with connected(port(), scopes=["operator.read"]) as talk:
            error = (await talk.call("tools.invoke", tool()))["error"]
        assert error["code"] == "FORBIDDEN"
    assert world.effects() == []


def test_an_action_becomes_an_argument_where_there_is_such_a_one():
    spec = World(Path()).tools()["put"].spec
    wanted = invoking.Wanted(name="put", args={"text": "x"}, action="go")
    assert invoking.arguments(wanted, spec) == '{"text":"x"}'
    acting = attrs.evolve(spec, parameters={"properties": {"action": {}}})
    assert invoking.arguments(wanted, acting) == '{"text":"x","action":"go"}'
    given = attrs.evolve(wanted, args={"action": "stay"})
    assert invoking.arguments(given, acting) == '{"action":"stay"}'


@pytest.mark.parametrize(
    "name, config, admin, allowed",
    [
        ("read", InvokeConfig(), False, True),
        ("read", InvokeConfig(deny=("read",)), True, False),
        ("exec", InvokeConfig(), True, False),
        ("exec", InvokeConfig(allow=("exec",)), True, True),
        ("exec", InvokeConfig(allow=("exec",)), False, False),
        ("exec", InvokeConfig(allow=("exec",), deny=("exec",)), True, False),
        ("write", InvokeConfig(allow=("exec",)), True, False),
    ],
)
def test_who_may_order_which_tool(name, config, admin, allowed):
    assert (invoking.refusal(name, config, admin=admin) is None) is allowed


def test_what_changes_the_machine_may_not_be_ordered():

    free = {*GROUPS["fs"], *GROUPS["runtime"]} - invoking.DENIED
    assert free == {"find", "grep", "ls", "read"}
