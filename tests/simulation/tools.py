"""The tools of a world, one of each effect class, and what they did to it."""

import random
from collections.abc import Callable, Collection, Mapping

import attrs
import trio

from beamclaw.contracts.approvals import Ask, Clear, Clearance, Grant, digest_of
from beamclaw.contracts.grants import grants_of
from beamclaw.contracts.subagents import SessionTool
from beamclaw.contracts.tools import (
    Asks,
    Effect,
    Order,
    Output,
    Tool,
    ToolFailed,
    ToolSpec,
)
from beamclaw.testing.session_tools import session_tools
from tests.simulation.node import Life
from tests.simulation.trace import Trace

EFFECTS: Mapping[str, Effect] = {
    "look": "pure",
    "put": "idempotent",
    "order": "checkable",
    "send": "unsafe",
    "ask": "unsafe",
    "dare": "unsafe",
}
_ASKS: Mapping[str, Asks] = {"ask": "always", "dare": "by-call"}


class ToldToCrash(Exception):
    """A fault of a tool."""


@attrs.frozen
class Done:
    """Something was done to the world."""

    tool: str
    key: str
    run_id: str
    call_id: str
    life: int
    at: float
    person: str
    script: str | None = None
    text: str = ""


@attrs.define(eq=False)
class Effects:
    """All that was done, in order; *begun* is told of each tool that starts.

    *script* is what ``dare`` carries out; now and then somebody writes it anew.
    """

    trace: Trace
    random: random.Random
    begun: Callable[[Order], None]
    done: list[Done] = attrs.field(factory=list[Done])
    script: int = 0

    def toolbox(
        self, life: Life, acts: Collection[str] = ("spawn",)
    ) -> Mapping[str, Tool | SessionTool]:
        """The tools as one life of a node has them; *acts* are done with sessions."""
        own = {name: _Tool(self, life, name) for name in EFFECTS}
        return {**own, **{name: session_tools()[name] for name in acts}}

    def has(self, order: Order) -> bool:
        """Whether *order* was carried out."""
        return any((d.tool, d.key) == (order.tool, order.key) for d in self.done)


@attrs.frozen
class _Tool:
    effects: Effects
    life: Life
    name: str

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name=self.name,
            description=f"{self.name}, {EFFECTS[self.name]}",
            parameters={"type": "object"},
            effect=EFFECTS[self.name],
            asks=_ASKS.get(self.name, "never"),
        )

    async def run(self, order: Order) -> Output:
        effects = self.effects
        script = str(effects.script) if self.name == "dare" else None
        effects.trace.note("tool", f"{self.name} begins {order.key}")
        effects.begun(order)
        text = order.arguments.get("text", "")
        await self._pause()
        if text == "fail":
            raise ToolFailed("it was told to fail")
        if text == "crash":
            raise ToldToCrash
        again = self.name == "put" and effects.has(order)
        if not again and not self.life.dead:
            place = order.key, order.run_id, order.call_id
            now = trio.current_time()
            life = self.life.number
            person = order.arguments.get("for", "").partition(".")[0]
            done = Done(self.name, *place, life, now, person, script)
            effects.done.append(done)
            effects.trace.note("tool", f"{self.name} does {order.key}")
        await self._pause()
        return Output(f"{self.name} done")

    async def check(self, order: Order) -> Output | None:
        await self._pause()
        self.effects.trace.note("tool", f"{self.name} checks {order.key}")
        return Output(f"{self.name} done") if self.effects.has(order) else None

    async def clear(self, order: Order) -> Clearance:
        effects = self.effects
        await trio.sleep(effects.random.choice((0.0, 0.02, 0.5)))
        if effects.random.random() < 0.1:
            effects.script += 1
        granted = await grants_of(order)
        script = str(effects.script)  # last: nothing is waited for from here on
        grant = Grant(tool=self.name, pattern="it", arguments=script)
        if any(grant.allows(other) for other in granted):
            return Clear()
        return Ask(
            question="dare it?",
            digest=digest_of(self.name, {"script": script}),
            details={"script": script},
            grant=grant,
        )

    async def _pause(self) -> None:
        rng = self.effects.random
        await trio.sleep(rng.choice((0.0, 0.0, 0.02, 0.5, 5.0, 300.0)))
