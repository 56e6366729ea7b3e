"""The tool calls that a run has in progress.

Each is a process of its own that outlives the run: it keeps its output until the run, or
a successor of it, has written that into the journal.
"""

from collections.abc import Collection, Iterable

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.journal import ToolEnded
from beamclaw.contracts.results import of_output
from beamclaw.contracts.tools import CallDone, Collect, Dismiss, Output

_FAULT = (
    "the tool failed by a fault of its own, which is in the log of the node; whether it "
    "did any of its work is not known"
)


class Calls:
    """See the module. Belongs to one run, which hands it the messages about calls.

    Args:
        tenant: Whose run.
        run_id: Which run.
        most: Characters of an output that the model gets.
    """

    def __init__(self, tenant: str, run_id: str, most: int) -> None:
        self._tenant = tenant
        self._run_id = run_id
        self._most = most
        self._pids: dict[str, supervision.Pid] = {}
        self._monitors: dict[supervision.Ref, str] = {}

    @property
    def running(self) -> Collection[str]:
        """The ids of the calls that have a process."""
        return self._pids.keys()

    def find(self, call_ids: Iterable[str]) -> None:
        """Watch those of *call_ids* that outlived an earlier run."""
        for id_ in call_ids:
            pid = supervision.whereis(names.call(self._tenant, self._run_id, id_))
            if pid is not None:
                self.watch(id_, pid)

    def watch(self, call_id: str, pid: supervision.Pid) -> None:
        """Wait for the output of a call: it comes as a message, and so does its end."""
        self._pids[call_id] = pid
        self._monitors[supervision.monitor(pid)] = call_id
        supervision.cast(pid, Collect(supervision.self_pid()))

    def result(self, message: CallDone | supervision.Down) -> ToolEnded | None:
        """The result that *message* brings; None: of a call that is over already."""
        if isinstance(message, CallDone):
            call_id, output = message.call_id, message.output
        else:
            call_id = self._monitors.pop(message.ref, "")
            output = Output(_FAULT, is_error=True)
        if self._pids.pop(call_id, None) is None:
            return None
        return of_output(call_id, output, most=self._most)

    def dismiss(self, call_id: str) -> None:
        """The result of the call is in the journal: its process may end."""
        name = names.call(self._tenant, self._run_id, call_id)
        pid = supervision.whereis(name)
        if pid is not None:
            supervision.cast(pid, Dismiss())

    def stop(self, call_id: str) -> None:
        """End the process of a call, if it has one: its output is not wanted."""
        pid = self._pids.pop(call_id, None)
        if pid is not None:
            supervision.exit(pid, supervision.SHUTDOWN)
