"""A tool that a policy denies is denied wherever the turn comes from, in the same words."""
# ruff: noqa: ASYNC110 -- what the ledger says is looked at, it tells nobody

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

import supervision
from beamclaw.config.schema import (
    AgentConfig,
    AgentToolsConfig,
    AuthConfig,
    Config,
    GatewayConfig,
    HooksConfig,
    ProviderConfig,
    SessionToolsConfig,
    ToolsConfig,
)
from beamclaw.contracts.journal import ToolEnded, read
from beamclaw.contracts.ledger_reads import ReadJournal, ReadSessions
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.shell import Decoder, encode, hello
from beamclaw.contracts.toolbox import AnyTool
from beamclaw.contracts.tools import Order
from beamclaw.testing.world import World
from beamclaw.tools.session_acts import session_acts
from tests.beamclaw.gateway.socket.talk import connected
from tests.support.inside import TOKEN, Inside, Reader, open_inside
from tests.support.wire import Connection

pytestmark = pytest.mark.slow
LEDGER = "default/ledger"
HOOK = "token-of-the-hooks"
WORDS = "send is not allowed here: tools.deny has send"
SCRIPT = r"""
- match: ^delegate
  calls: [{tool: sessions_spawn, arguments: {task: use it, mode: wait}}]
  reply: "{results}"
- match: ^tell
  calls: [{tool: sessions_send, arguments: {session_key: agent:main:there, message: use it}}]
  reply: "{results}"
- match: ^give away
  calls: [{tool: sessions_hand_over, arguments: {agent_id: second}}]
  reply: "{results}"
- match: ^first wait
  calls: [[{tool: look, arguments: {}}], [{tool: send, arguments: {}}]]
  reply: "{results}"
- match: ^wait
  calls: [{tool: look, arguments: {}}]
  reply: "{results}"
- match: use it
  calls: [{tool: send, arguments: {text: x}}]
  reply: "{results}"
- reply: "good"
"""


class Stage:
    """The node, its world, and how one speaks to it."""

    def __init__(self, node: Inside, world: World) -> None:
        self.node = node
        self.world = world
        self.looked = trio.Event()
        self.go_on = trio.Event()
        self._numbers = iter(range(1, 1000))

    async def wait(self, order: Order) -> None:
        if order.tool == "look":
            self.looked.set()
            await self.go_on.wait()

    # --- the surfaces, each a way to have a turn that wants the tool

    async def http(self, text: str = "use it", **headers: str) -> None:
        named = self.node.headers(str(next(self._numbers)), "")
        del named["x-openclaw-model"]
        await self.node.ask(text, {**named, **headers}, wait=30)

    async def stream(self) -> None:
        named = self.node.headers(str(next(self._numbers)), "")
        del named["x-openclaw-model"]
        reader = Reader()
        await self.node.stream("use it", named, reader)
        assert reader.whole

    async def responses(self) -> None:
        await self._post("/v1/responses", {"model": "openclaw", "input": "use it"})

    async def messages(self) -> None:
        said = [{"role": "user", "content": "use it"}]
        body = {"model": "openclaw", "max_tokens": 100, "messages": said}
        await self._post("/v1/messages", body)

    async def rest(self) -> None:
        await self._post("/api/sessions/main/messages", {"message": "use it"})

    async def hook(self) -> None:
        await self._post("/hooks/agent", {"message": "use it"}, token=HOOK)

    async def client_agent(self) -> None:
        await self._client("agent")

    async def client_chat(self) -> None:
        await self._client("chat.send")

    async def _post(self, path: str, body: object, *, token: str = TOKEN) -> None:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        url = await self.node.url()
        with await Connection.open(url) as connection:
            answer = await connection.request("POST", path, headers, orjson.dumps(body))
        assert answer.status in (200, 202), answer.body

    async def _client(self, method: str) -> None:
        port = int((await self.node.url()).rpartition(":")[2])
        said = {"message": "use it", "sessionKey": "main", "idempotencyKey": "k"}
        async with connected(port, auth={"token": TOKEN}) as talk:
            assert (await talk.call(method, said))["ok"]

    async def terminal(self, text: str = "use it", **params: Any) -> None:
        await self._socket("chat", message=text, id=str(next(self._numbers)), **params)

    async def steered(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.terminal, "wait")
            await self.looked.wait()
            said = partial(self.terminal, "use it", queue="steer")
            nursery.start_soon(said)
            await self._taken()
            self.go_on.set()

    async def sub_agent(self) -> None:
        await self.terminal("delegate")

    async def message_between_sessions(self) -> None:
        await self.terminal("good day", session="agent:main:there")
        await self.terminal("tell them")

    async def forked(self) -> None:
        await self.terminal("good day")
        await self._socket("sessions.fork", session="main", new="agent:main:forked")
        await self.terminal(session="agent:main:forked")

    async def handed_over(self) -> None:
        await self.terminal("give away")
        await self.terminal()

    async def other_agent(self) -> None:
        """It would like to allow itself everything."""
        await self.terminal(agent="second")

    async def other_model(self) -> None:
        await self.terminal(model="demo/anything")

    async def recovered(self) -> None:
        """The turn's process dies before the model asks for it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.terminal, "first wait")
            await self.looked.wait()
            (run,) = supervision.names("default/run/")
            supervision.exit(run.pid, supervision.KILL)
            self.go_on.set()

    # --- what came of it

    async def _socket(self, method: str, **params: Any) -> None:
        path = str(self.node.config.data / "node.sock")
        frame = {"id": 1, "method": method, "params": params}
        decoder = Decoder()
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(encode(hello()) + encode(frame))
            while data := await stream.receive_some(65536):
                for frame in decoder.feed(data):
                    if frame.get("id") == 1 and "event" not in frame:
                        assert "result" in frame, frame
                        return

    async def _taken(self) -> None:
        """Until the message that steers is in the ledger."""
        while not await trio.to_thread.run_sync(self._waits):
            await trio.sleep(0.01)

    def _waits(self) -> bool:
        file = f"file:{self.node.ledger}?mode=ro"
        with closing(sqlite3.connect(file, uri=True)) as database:
            rows = database.execute("SELECT * FROM inbox").fetchall()
        return any("use it" in str(row) for row in rows)

    async def ends(self) -> list[ToolEnded]:
        """The results of all calls of the tool, in all sessions."""
        found: list[ToolEnded] = []
        for row in await supervision.call(LEDGER, ReadSessions()):
            events = await supervision.call(LEDGER, ReadJournal(row.key))
            bodies = [read(event) for event in events]
            asked = {
                part.id
                for body in bodies
                for part in getattr(getattr(body, "message", None), "parts", ())
                if getattr(part, "name", "") == "send"
            }
            found += [
                body
                for body in bodies
                if isinstance(body, ToolEnded) and body.result.id in asked
            ]
        return found


@asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    script = folder / "script.yaml"
    script.write_text(SCRIPT)
    world = World(folder / "effects")
    everything: Mapping[str, AnyTool] = {
        **world.tools(),
        **{tool.spec.name: tool for tool in session_acts()},
    }
    own = AgentToolsConfig(profile="full", allow=("send", "*"))
    config = Config(
        data=folder / "data",
        providers={"demo": ProviderConfig(api="demo", script=script, delay=0.0)},
        agents={
            "main": AgentConfig(model="demo", hand_over=("second",)),
            "second": AgentConfig(model="demo", tools=own),
        },
        tools=ToolsConfig(
            deny=("send",), sessions=SessionToolsConfig(visibility="agent")
        ),
        gateway=GatewayConfig(port=0, auth=AuthConfig(token=Secret(TOKEN))),
        hooks=HooksConfig(enabled=True, token=Secret(HOOK)),
    )
    async with open_inside(config, toolbox=lambda _: everything) as node:
        await node.url()
        stage = Stage(node, world)
        world.before = stage.wait
        yield stage


SURFACES: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    Stage.http,
    Stage.stream,
    Stage.responses,
    Stage.messages,
    Stage.rest,
    Stage.hook,
    Stage.client_agent,
    Stage.client_chat,
    Stage.terminal,
    Stage.steered,
    Stage.sub_agent,
    Stage.message_between_sessions,
    Stage.forked,
    Stage.handed_over,
    Stage.other_agent,
    Stage.other_model,
    Stage.recovered,
)


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.__name__)
async def test_it_is_denied_on_every_surface(
    tmp_path: Path, surface: Callable[[Stage], Awaitable[None]]
):
    with trio.fail_after(60):
        async with open_stage(tmp_path) as stage:
            await surface(stage)
            while not (ends := await stage.ends()):
                await trio.sleep(0.01)
    assert [end.outcome for end in ends] == ["refused"] * len(ends)
    assert all(end.result.text.startswith(WORDS) for end in ends)
    assert stage.world.effects("send") == []
