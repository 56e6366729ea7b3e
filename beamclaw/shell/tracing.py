"""Traces: what one process takes and answers, as it happens, for whoever watches.

A watcher runs in the task of the process that is watched, so it only puts the event
away. What comes faster than it may be told, and what is left when a trace is full, is
counted. The trace ends with its command: it belongs to the request's own process.
"""

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, cast

import attrs
import trio

import supervision
from beamclaw.shell.deeds import look
from beamclaw.shell.finding import wanted
from beamclaw.shell.looking import of_person, shower
from beamclaw.shell.request import (
    Failed,
    Method,
    Node,
    Params,
    Send,
    number,
    text,
    whole,
)
from beamclaw.shell.values import Shower
from beamclaw.values import frozen
from supervision.sys import DONE, SysEvent, install, remove

KINDS: Final = ("call", "cast", "info", "reply")
_LONGEST: Final = 86_400.0
# Events that wait until they are told.
_WAITING: Final = 1_000


@frozen
class Bell:
    """To whoever tells of a trace: there is something to tell."""


@attrs.define(eq=False)
class Tracer:
    """What is kept of a trace, and what is left out.

    Attributes:
        kinds: Which events are wanted.
        words: What has to be in the text of a message.
        rate: Events of one second, at most.
        teller: Who tells them.
        left_out: How many were too many; *untold* of them since it was told last.
    """

    show: Shower
    kinds: frozenset[str]
    words: str
    rate: int
    teller: supervision.Pid
    left_out: int = 0
    untold: int = 0
    closed: bool = False
    waiting: deque[Mapping[str, object]] = attrs.field(
        factory=deque[Mapping[str, object]]
    )
    _second: float = -1.0
    _in_it: int = 0
    _rung: bool = False

    def take(self, event: SysEvent) -> object:
        """Hear of one event, in the task of the process that is watched."""
        if self.closed:
            return DONE
        if event.kind in self.kinds and (row := self._row(event)) is not None:
            self.waiting.append(row)
            self._ring()
        return None

    def _row(self, event: SysEvent) -> Mapping[str, object] | None:
        now = trio.current_time()
        if self.words == "" and not self._admits(now):
            return None  # what is left out is not even looked at
        message = self.show(event.message)
        if self.words not in message or (self.words and not self._admits(now)):
            return None
        caller = None if event.pid is None else str(event.pid)
        return {"at": now, "kind": event.kind, "message": message, "from": caller}

    def _admits(self, now: float) -> bool:
        if now - self._second >= 1.0:
            self._second, self._in_it = now, 0
        self._in_it += 1
        if self._in_it <= self.rate and len(self.waiting) < _WAITING:
            return True
        self.left_out += 1
        self.untold += 1
        return False

    def _ring(self) -> None:
        # Once: its mailbox holds one bell at most, however much there is to tell.
        if not self._rung:
            self._rung = True
            supervision.send(self.teller, Bell())

    def taken(self) -> Mapping[str, object] | None:
        """What is to be told next; None: nothing, and the bell will be rung again."""
        if not self.waiting:
            self._rung = False
            return None
        untold, self.untold = self.untold, 0
        return {**self.waiting.popleft(), "left_out": untold}


async def trace(node: Node, params: Params, send: Send) -> object:
    """What ``process`` takes and answers: events, until it is enough.

    ``kinds`` (a list of call, cast, info, reply), ``text`` that has to be in a message,
    ``most`` events, ``seconds``. The first event says what is traced.
    """
    with look(node, "trace", params):
        of_person(node, "traces nothing")
        return await _traced(node, params, send)


async def _traced(node: Node, params: Params, send: Send) -> object:
    limits = node.config.shell
    pid = await wanted(node, params)
    tracer = Tracer(
        show=shower(node),
        kinds=_kinds(params),
        words=text(params, "text", ""),
        rate=limits.trace_rate,
        teller=supervision.self_pid(),
    )
    most = whole(params, "most", limits.trace_events, most=limits.trace_events)
    seconds = number(params, "seconds", _LONGEST, least=0, most=_LONGEST)
    supervision.monitor(pid)
    try:
        await install(pid, tracer.take)
    except supervision.SupervisionError as error:
        raise Failed("refused", str(error)) from None
    try:
        await send({"type": "tracing", "pid": str(pid)})
        with trio.move_on_after(seconds):
            told = await _tell(tracer, most or 0, send)
            return {**told, "left_out": tracer.left_out}
        return {"why": "time", "left_out": tracer.left_out}
    finally:
        tracer.closed = True
        # The order is in its mailbox by the time that this is cancelled, which is at
        # once: the process may be busy for long.
        with (
            trio.CancelScope(shield=True, deadline=-float("inf")),
            suppress(supervision.SupervisionError),
        ):
            await remove(pid, tracer.take)


async def _tell(tracer: Tracer, most: int, send: Send) -> Mapping[str, Any]:
    told = 0
    while told < most:
        row = tracer.taken()
        if row is not None:
            await send({"type": "traced", **row})
            told += 1
        elif isinstance(await supervision.receive((Bell, supervision.Down)), Bell):
            continue
        else:
            return {"why": "ended", "events": told}
    return {"why": "enough", "events": told}


def _kinds(params: Params) -> frozenset[str]:
    given: Any = params.get("kinds")
    if given is None:
        return frozenset(KINDS)
    known = ", ".join(KINDS)
    if not isinstance(given, list) or not given:
        raise Failed("params", f"kinds are a list of some of {known}")
    wanted = cast("list[object]", given)
    for wrong in (each for each in wanted if each not in KINDS):
        raise Failed(
            "params", f"there is no kind {str(wrong)[:50]!r}; there are {known}"
        )
    return frozenset(map(str, wanted))


TRACING: Final[Mapping[str, Method]] = {"trace": trace}
