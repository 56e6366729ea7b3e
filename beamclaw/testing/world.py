"""A small world that tools change, one tool of each effect class, and what was done to it.

The world is a file with one line per effect, so that it outlives the node, and a test
can compare what was done with what the journal says.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson

from beamclaw.contracts.approvals import (
    Ask,
    Clear,
    Clearance,
    Deny,
    Grant,
    digest_of,
)
from beamclaw.contracts.grants import grants_of
from beamclaw.contracts.points import point
from beamclaw.contracts.tools import (
    Asks,
    Effect,
    Order,
    Output,
    Tool,
    ToolFailed,
    ToolSpec,
)
from beamclaw.values import frozen

_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "additionalProperties": True,
}
EFFECTS: Mapping[str, Effect] = {
    "look": "pure",
    "put": "idempotent",
    "order": "checkable",
    "send": "unsafe",
}


async def _at_once(order: Order) -> None:
    del order


async def _clear(order: Order) -> Clearance:
    del order
    return Clear()


@frozen
class Leave:
    """For `World.clears`: a person has to agree, unless it was allowed for good.

    What is agreed to is the call's ``text``, and what stands in *script* at that moment,
    as if that were carried out. For good is allowed what its ``what`` names (else its
    ``text``), while the script is the same. Who has read words of strangers is asked each
    time.
    """

    script: Path

    def content(self) -> str:
        """What stands in the script now."""
        return self.script.read_text() if self.script.exists() else ""

    async def __call__(self, order: Order) -> Clearance:
        """See the class."""
        text = str(order.arguments.get("text", ""))
        if text == "forbidden":
            return Deny("the world does not allow that")
        what = str(order.arguments.get("what", text))
        granted = await grants_of(order)
        content = self.content()  # last: nothing is waited for from here on
        grant = Grant(
            tool=order.tool, pattern=what, arguments=content, words=f"do {what}"
        )
        if order.tainted:
            grant = None
        elif any(grant.allows(other) for other in granted):
            return Clear()
        return Ask(
            question=f"{order.tool} {text}",
            digest=digest_of(order.tool, {"text": text, "script": content}),
            details={"text": text, "script": content},
            grant=grant,
        )


@attrs.define
class World:
    """What there is of effects.

    Attributes:
        file: Where they are written down.
        asks: Whether a person has to agree before one of its tools runs.
        clears: What its tools say of a call, where *asks* is ``by-call``.
        before: Waited for in a tool, before its effect.
        after: The same, between its effect and its end.
        script: Looked at when a tool begins to work, and written down with its effect.

    ``look`` brings words of strangers, if its ``text`` is ``strange``.
    """

    file: Path
    asks: Asks = "never"
    clears: Callable[[Order], Awaitable[Clearance]] = _clear
    before: Callable[[Order], Awaitable[None]] = _at_once
    after: Callable[[Order], Awaitable[None]] = _at_once
    script: Callable[[], str] | None = None

    def effects(self, tool: str | None = None) -> list[dict[str, Any]]:
        """All that was done, in order; by *tool*, if one is given."""
        if not self.file.exists():
            return []
        lines = self.file.read_bytes().splitlines()
        found = [orjson.loads(line) for line in lines]
        return [one for one in found if tool is None or one["tool"] == tool]

    def add(self, order: Order, script: str | None = None) -> None:
        """Do the effect of *order*."""
        with point("tool.effect"):
            line = {"tool": order.tool, "key": order.key, "arguments": order.arguments}
            if script is not None:
                line["script"] = script
            with self.file.open("ab") as file:
                file.write(orjson.dumps(line) + b"\n")

    def tools(self) -> dict[str, Tool]:
        """One tool of each class: ``look``, ``put``, ``order`` and ``send``."""
        return {name: _Worldly(self, name) for name in EFFECTS}


@frozen
class _Worldly:
    world: World
    name: str

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name=self.name,
            description=f"{self.name}, which is {EFFECTS[self.name]}",
            parameters=_SCHEMA,
            effect=EFFECTS[self.name],
            asks=self.world.asks,
        )

    async def run(self, order: Order) -> Output:
        script = None if self.world.script is None else self.world.script()
        text = order.arguments.get("text", "")
        if text == "fail":
            raise ToolFailed("it was told to fail")
        if text == "crash":
            raise RuntimeError("it was told to crash")
        await self.world.before(order)
        done = self.world.effects(self.name)
        if self.name == "look":
            self.world.add(order, script)
            answer = f"{len(done)} looks before"
        else:
            if self.name != "put" or all(one["key"] != order.key for one in done):
                self.world.add(order, script)
            answer = f"{self.name}: {text}"
        await self.world.after(order)
        return Output(answer, untrusted=self.name == "look" and text == "strange")

    async def check(self, order: Order) -> Output | None:
        if all(one["key"] != order.key for one in self.world.effects(self.name)):
            return None
        return Output(f"{self.name}: {order.arguments.get('text', '')} (found)")

    async def clear(self, order: Order) -> Clearance:
        return await self.world.clears(order)
