"""The tool calls that a run has in progress.

Each is a process of its own that outlives the run: it keeps its output until the run, or
a successor of it, has written that into the journal.
"""

from collections.abc import Collection, Iterable

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.journal import ToolEnded
from beamclaw.contracts.results import of_output
from beamclaw.contracts.tools import Collect, Dismiss, Output

_FAULT = (
    "the tool failed by a fault of its own, which is in the log of the node; whether it "
    "did any of its work is not known"
)


class Calls:
    """See the module. Belongs to one run.

    Args:
        tenant: Whose run.
        run_id: Which run.
        most: Characters of an output that the model gets.
    """

    def __init__(self, tenant: str, run_id: str, most: int) -> None:
        self._tenant = tenant
        self._run_id = run_id
        self._most = most
        self._waiting: supervision.RequestIds[Output] = supervision.RequestIds()
        self._pids: dict[str, supervision.Pid] = {}

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
        """Wait for the output of a call that has just been begun."""
        self._pids[call_id] = pid
        self._waiting.send(pid, Collect(), label=call_id)

    async def results(self, patience: float) -> list[ToolEnded]:
        """The results that are there; waits for one, at most *patience* seconds."""
        found: list[ToolEnded] = []
        try:
            while len(self._waiting):
                seconds = 0.0 if found else patience
                response = await self._waiting.receive(timeout=seconds)
                call_id = str(response.label)
                if call_id in self._pids:
                    found.append(self._result(call_id, response))
        except supervision.CallTimeout:
            pass
        return found

    def _result(
        self, call_id: str, response: supervision.Response[Output]
    ) -> ToolEnded:
        try:
            output = response.result()
        except supervision.CallFailed:
            output = Output(_FAULT, is_error=True)
        return of_output(call_id, output, most=self._most)

    def dismiss(self, call_id: str) -> None:
        """The result of the call is in the journal: its process may end."""
        pid = self._pids.pop(call_id, None)
        if pid is not None:
            supervision.cast(pid, Dismiss())

    def stop(self, call_id: str) -> None:
        """End the process of a call, if it has one: its output is not wanted."""
        pid = self._pids.pop(call_id, None)
        if pid is not None:
            supervision.exit(pid, supervision.SHUTDOWN)
