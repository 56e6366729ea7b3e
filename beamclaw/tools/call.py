"""The process of one tool call: does it, and keeps the output until it is taken.

It knows nothing of turns and journals. When it dies by a fault of the tool nobody starts
it again: whether that may be done is decided where the effects are written down.
"""

import math

import trio

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.about import About
from beamclaw.contracts.approvals import UNCLEAR, refusal
from beamclaw.contracts.points import point
from beamclaw.contracts.results import bounded
from beamclaw.contracts.steps import in_steps
from beamclaw.contracts.tools import (
    Bounded,
    Bounds,
    CallDone,
    Collect,
    Dismiss,
    Effect,
    Forgets,
    Order,
    Output,
    Tool,
    ToolFailed,
)


class CallServer(supervision.Server):
    """See the module.

    Args:
        tool: Whose call.
        order: The call.
        check: Ask the tool first what became of an earlier beginning.
        bounds: How much of the output is taken.
        seconds: How long it may take, if the tool does not say.
    """

    def __init__(
        self, tool: Tool, order: Order, bounds: Bounds, *, check: bool, seconds: float
    ) -> None:
        self._tool = tool
        self._order = order
        self._check = check
        self._bounds = bounds
        own = tool.spec.deadline
        self._seconds = seconds if own is None else own
        # Whether its effect may have been done; of an earlier beginning nobody knows.
        self._begun = check
        self._output: Bounded | None = None

    async def init(self) -> supervision.Continue:
        """Whoever begins the call does not wait for it."""
        self._tell("works")
        return supervision.Continue(None)

    async def handle_continue(self, term: object) -> None:
        """Do it; whoever wants the output meanwhile waits in the mailbox."""
        try:
            output = await self._in_time()
        except ToolFailed as failed:
            output = Output(str(failed), is_error=True)
        # However long it is, nobody else is held up by it.
        self._output = await in_steps(bounded(output, self._order.key, self._bounds))
        self._tell("done")

    def _tell(self, state: str) -> None:
        """What it does, for whoever looks at the tree."""
        order = self._order
        limit = "" if math.isinf(self._seconds) else f" within {self._seconds:g} s"
        words = f"{order.tool} for {order.session_key}: {state}"
        again = f", begun {order.attempt} times" if order.attempt > 1 else ""
        supervision.update_value(
            names.call(order.tenant, order.run_id, order.call_id),
            About(f"{words}{limit if state == 'works' else ''}{again}"),
        )

    async def _in_time(self) -> Output:
        """What it comes to; at its deadline it is cancelled, down to the leaf."""
        with trio.move_on_after(self._seconds):
            return await self._work()
        order, effect = self._order, self._tool.spec.effect
        supervision.emit(
            "beamclaw.tool.late",
            {"seconds": self._seconds},
            {
                "tenant": order.tenant,
                "session": order.session_key,
                "tool": order.tool,
            },
        )
        return _stopped(self._seconds, effect if self._begun else "pure")

    async def _work(self) -> Output:
        if self._check:
            with point("tool.check"):
                found = await self._tool.check(self._order)
            if found is not None:
                return found
        if self._tool.spec.asks == "by-call":
            await self._clear()
        self._begun = True
        with point("tool.run"):
            return await self._tool.run(self._order)

    async def _clear(self) -> None:
        """The world may have changed since a person agreed, or nobody had to be asked."""
        order = self._order
        try:
            with point("tool.clear"):
                cleared = await self._tool.clear(order)
        except supervision.CallFailed:  # a part of the node is not up
            raise ToolFailed(UNCLEAR) from None
        words = refusal(cleared, order.approved)
        if words is None:
            return
        supervision.emit(
            "beamclaw.approval.changed",
            {},
            {
                "tenant": order.tenant,
                "session": order.session_key,
                "tool": order.tool,
                "call": order.key,
            },
        )
        raise ToolFailed(words)

    async def handle_cast(self, message: object) -> supervision.Stop | None:
        """Somebody wants the output; or the result is in the journal."""
        match message:
            case Collect(to):
                assert self._output is not None
                with point("tool.done"):
                    supervision.send(to, CallDone(self._order.call_id, self._output))
            case Dismiss():
                if isinstance(self._tool, Forgets):
                    await self._tool.forget(self._order)
                return supervision.Stop(supervision.NORMAL)
            case _:
                await super().handle_cast(message)
        return None

    def describe(self) -> dict[str, object]:
        """Which call; not what it says."""
        order = self._order
        return {
            "tool": order.tool,
            "session": order.session_key,
            "run": order.run_id,
            "attempt": order.attempt,
            "deadline": self._seconds,
            "done": self._output is not None,
        }


def _stopped(seconds: float, effect: Effect) -> Output:
    words = f"stopped: it took longer than it may, {seconds:g} s"
    if effect == "pure":
        return Output(words, is_error=True)
    if effect == "idempotent":
        return Output(f"{words}; it may be asked for again", is_error=True)
    words = f"{words}. Whether it was done is not known: look before you repeat it"
    return Output(words, is_error=True, unknown=True)
