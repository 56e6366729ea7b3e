"""The tool calls of a run: intents, processes, results.

Each call is a process of its own that outlives the run: it keeps its output until the
run, or a successor of it, has written that into the journal.
"""

from collections.abc import Callable, Collection
from functools import partial

import attrs

import supervision
from beamclaw.agents import AgentDefinition
from beamclaw.contracts import names
from beamclaw.contracts.journal import ToolBegun, ToolEnded
from beamclaw.contracts.open_turn import Call
from beamclaw.contracts.points import point
from beamclaw.contracts.results import ended, of_output, to_keep, whole
from beamclaw.contracts.sessions import ToolUse
from beamclaw.contracts.toolbox import Toolbox
from beamclaw.contracts.tools import CallDone, Collect, Dismiss, Order, Output
from beamclaw.runs.orders import FAULT, call_key, order_of
from beamclaw.runs.record import Record
from beamclaw.runs.turn_steps import AskTool, Begin, Conclude
from beamclaw.runs.wiring import Wiring

_FAULT = f"{FAULT}; whether it did any of its work is not known"


def _not_begun(step: Begin, error: Exception) -> ToolEnded:
    id_ = step.call.asked.id
    if step.attempt > 1 and step.spec.effect != "pure":
        words = (
            "the node died while this was carried out, and now it cannot be looked "
            f"after: {error}. Whether it was done is not known"
        )
        return ended(id_, "unknown", words)
    return ended(id_, "refused", f"it was not carried out, try again later: {error}")


class Calls:
    """See the module. Belongs to one run, which hands it the messages about calls."""

    def __init__(
        self,
        wiring: Wiring,
        record: Record,
        definition: AgentDefinition,
        toolbox: Callable[[], Toolbox],
    ) -> None:
        self._wiring = wiring
        self._record = record
        self._definition = definition
        self._toolbox = toolbox
        # Intents in the draft: begun when that is committed.
        self._drafted: dict[str, Begin] = {}
        self._pids: dict[str, supervision.Pid] = {}
        self._monitors: dict[supervision.Ref, str] = {}

    @property
    def running(self) -> Collection[str]:
        """The ids of the calls that have a process, or will have one."""
        return {*self._pids, *self._drafted}

    @property
    def working(self) -> str:
        """Which tools work, in words."""
        calls = self._record.turn.calls
        return ", ".join(
            call.asked.name for call in calls if call.asked.id in self._pids
        )

    # --- beginning

    def find(self) -> None:
        """Watch those that outlived an earlier run.

        Of one whose result it has written it may have died before it let it go.
        """
        for call in self._record.turn.calls:
            if call.outcome is not None:
                self._dismiss(call.asked.id)
                continue
            pid = supervision.whereis(self._name(call.asked.id))
            if pid is not None:
                self._watch(call.asked.id, pid)

    def draft(self, step: Begin) -> None:
        """Draft the intent of a call."""
        record, id_ = self._record, step.call.asked.id
        record.add(
            ToolBegun(
                call_id=id_,
                tool=step.spec.name,
                effect=step.spec.effect,
                key=call_key(record.id, id_),
                attempt=step.attempt,
            )
        )
        record.tell(ToolUse(record.id, id_, step.spec.name))
        self._drafted[id_] = step

    def order(self, step: AskTool | Begin) -> Order:
        """The call as its tool gets it: for the first time, and agreed to by nobody."""
        tenant, tainted = self._wiring.tenant, step.tainted
        agent, variables = self._definition.id, self._definition.variables
        return order_of(
            tenant, self._record, agent, step, tainted=tainted, variables=variables
        )

    async def begin(self) -> bool:
        """Begin the calls whose intent has just become durable; True: not all could be."""
        refused = False
        for id_ in tuple(self._drafted):
            step = self._drafted.pop(id_)
            order = attrs.evolve(
                self.order(step), attempt=step.attempt, approved=step.approved
            )
            tool = self._toolbox().processes[order.tool]
            try:
                with point("run.call"):
                    pid = await self._wiring.begin_call(tool, order, check=step.check)
            except (supervision.MaxChildren, supervision.NoProcess) as error:
                self._add(_not_begun(step, error), order.tool)
                refused = True
            else:
                self._watch(id_, pid)
        return refused

    def _watch(self, call_id: str, pid: supervision.Pid) -> None:
        """Wait for the output: it comes as a message, and so does the process's end."""
        self._pids[call_id] = pid
        self._monitors[supervision.monitor(pid)] = call_id
        with point("run.collect"):
            supervision.cast(pid, Collect(supervision.self_pid()))

    def _name(self, call_id: str) -> str:
        return names.call(self._wiring.tenant, self._record.id, call_id)

    # --- ending

    def hear(self, message: CallDone | supervision.Down) -> None:
        """Draft the result that *message* brings, if the call is not over already."""
        if isinstance(message, CallDone):
            id_, output = message.call_id, message.output
        else:
            id_ = self._monitors.pop(message.ref, "")
            output = whole(Output(_FAULT, is_error=True))
        if self._pids.pop(id_, None) is None:
            return
        for call in self._record.turn.open_calls:
            if call.asked.id == id_:
                record, key = self._record, call_key(self._record.id, id_)
                result = of_output(id_, key, output)
                if isinstance(message, CallDone) and self._is_untrusted(call):
                    result = attrs.evolve(result, untrusted=True)
                if kept := to_keep(record.id, key, output, result, at=record.now()):
                    record.add_op(kept)
                self._add(result, call.asked.name)

    def _is_untrusted(self, call: Call) -> bool:
        """Of a tool that is not there any more nobody knows."""
        tool = self._toolbox().processes.get(call.asked.name)
        return tool is None or tool.spec.untrusted

    def conclude(self, step: Conclude) -> None:
        """Draft the result of a call that is not carried out, or not any longer."""
        asked = step.call.asked
        pid = self._pids.pop(asked.id, None)
        if pid is not None:
            with point("run.drop-call"):
                supervision.exit(pid, supervision.SHUTDOWN)
        self._add(ended(asked.id, step.outcome, step.text), asked.name)

    def _add(self, result: ToolEnded, tool: str) -> None:
        record, id_ = self._record, result.result.id
        record.add(result)
        record.afterwards(partial(self._dismiss, id_))
        record.tell(ToolUse(record.id, id_, tool, result.outcome))

    def _dismiss(self, call_id: str) -> None:
        """The result is in the journal: the process may end."""
        pid = supervision.whereis(self._name(call_id))
        if pid is not None:
            with point("run.dismiss"):
                supervision.cast(pid, Dismiss())
