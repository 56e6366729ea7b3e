"""The configuration changes in the middle of a turn: the turn ends as it was begun.

Also where its process dies, or its session's. A new start of the node has no older
configuration than that of its file, so there it goes on by that one.
"""
# ruff: noqa: ASYNC110 -- what comes up again is looked for, it tells nobody

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

import supervision
from beamclaw.config.loader import load
from beamclaw.config.server import APPLIED, NAME, FileTouched
from beamclaw.contracts.tools import Order
from beamclaw.testing.world import World
from supervision import sys
from supervision.telemetry import Event, attach
from tests.support.inside import TOKEN, Inside, open_inside

pytestmark = pytest.mark.slow

FILE = f"""\
providers: {{demo: {{api: demo, script: SCRIPT, delay: 0}}}}
agents: {{main: {{model: demo}}}}
gateway: {{port: 0, auth: {{token: {TOKEN}}}}}
shutdown: {{drain_seconds: 0}}
"""
MORE = "tools: {deny: [send]}\n"
SCRIPT = r"""
- match: ^first look
  calls: [[{tool: look, arguments: {}}], [{tool: send, arguments: {text: x}}]]
  reply: "{results}"
- match: ^use it
  calls: [{tool: send, arguments: {text: x}}]
  reply: "{results}"
- reply: "good"
"""
WORDS = "send is not allowed here: tools.deny has send"


@attrs.define
class Stage:
    """A node whose tool ``look`` waits until it may go on."""

    data: Path
    world: World
    looks: int = 0
    go_on: trio.Event = attrs.field(factory=trio.Event)

    async def wait(self, order: Order) -> None:
        if order.tool == "look":
            self.looks += 1
            await self.go_on.wait()

    async def wait_looks(self, count: int) -> None:
        while self.looks < count:
            await trio.sleep(0.01)

    @asynccontextmanager
    async def node(self) -> AsyncIterator[Inside]:
        config = load({}, data=self.data).config
        async with open_inside(config, toolbox=lambda _: self.world.tools()) as node:
            await node.url()
            yield node

    async def deny(self) -> None:
        """Write it into the file, and wait until it holds."""
        holds = trio.Event()
        detach = attach(lambda event: self._hear(event, holds))
        file = self.data / "beamclaw.yaml"
        file.write_text(file.read_text() + MORE)
        supervision.cast(NAME, FileTouched())
        await holds.wait()
        detach()

    def _hear(self, event: Event, holds: trio.Event) -> None:
        if event.name == APPLIED:
            holds.set()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    data, script = tmp_path / "data", tmp_path / "script.yaml"
    data.mkdir()
    script.write_text(SCRIPT)
    (data / "beamclaw.yaml").write_text(FILE.replace("SCRIPT", str(script)))
    stage = Stage(data, World(tmp_path / "effects"))
    stage.world.before = stage.wait
    return stage


async def ask(node: Inside, text: str, key: str) -> str:
    headers = node.headers(key, "")
    del headers["x-openclaw-model"]
    answer = await node.ask(text, headers, wait=30)
    return answer.json()["choices"][0]["message"]["content"]


async def killed(prefix: str) -> None:
    (found,) = supervision.names(prefix)
    supervision.exit(found.pid, supervision.KILL)
    while not (now := supervision.names(prefix)) or now[0].pid == found.pid:
        await trio.sleep(0.01)


async def nothing_dies() -> None:
    await trio.lowlevel.checkpoint()


async def its_process_dies() -> None:
    await killed("default/run/")


async def its_session_dies_and_then_its_process() -> None:
    await killed("default/session/")
    # The next one has found the run before that dies, too.
    (session,) = supervision.names("default/session/")
    await sys.suspend(session.pid)
    await sys.resume(session.pid)
    await killed("default/run/")


@pytest.mark.parametrize(
    "meanwhile",
    [nothing_dies, its_process_dies, its_session_dies_and_then_its_process],
    ids=lambda fn: fn.__name__,
)
async def test_a_turn_keeps_the_tools_that_it_began_with_and_the_next_has_the_new_ones(
    stage: Stage, meanwhile: Callable[[], Awaitable[None]]
):
    said: list[str] = []
    with trio.fail_after(60):
        async with stage.node() as node:
            async with trio.open_nursery() as nursery:

                async def first() -> None:
                    said.append(await ask(node, "first look", "one"))

                nursery.start_soon(first)
                await stage.wait_looks(1)
                await stage.deny()
                await meanwhile()
                stage.go_on.set()
            second = await ask(node, "use it", "two")
    assert WORDS not in said[0]
    assert WORDS in second
    assert len(stage.world.effects("send")) == 1


async def test_a_node_that_is_started_anew_goes_on_with_the_turn_by_its_file(
    stage: Stage,
):
    with trio.fail_after(60):
        async with stage.node() as node, trio.open_nursery() as nursery:
            nursery.start_soon(ask, node, "first look", "one")
            await stage.wait_looks(1)
            await stage.deny()
            nursery.cancel_scope.cancel()
        stage.go_on.set()
        async with stage.node() as node:
            said = await ask(node, "first look", "one")
    assert WORDS in said
    assert stage.world.effects("send") == []
