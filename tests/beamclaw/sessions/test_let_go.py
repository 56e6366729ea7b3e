"""The process of a tool call goes when its result is written, whoever dies meanwhile."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.messages import ToolCall
from beamclaw.contracts.points import hooked
from beamclaw.contracts.runs import ABORTED
from beamclaw.testing.world import World

from .conftest import Model, Tenant
from .test_tools import report, use

KILLED = supervision.KILL
STOPPED = supervision.Shutdown(ABORTED)


@pytest.mark.parametrize(
    ("reason", "ordered"), [(KILLED, False), (STOPPED, False), (KILLED, True)]
)
async def test_it_goes_though_its_run_dies_over_the_commit_that_has_the_result(
    tenant: Tenant,
    model: Model,
    tmp_path: Path,
    autojump_clock: MockClock,
    reason: object,
    *,
    ordered: bool,
) -> None:
    model.tools.update(World(tmp_path / "world").tools())
    model.scripts = [use(("put", {"text": "x"})), report]
    reached: list[str] = []

    def end(place: str) -> None:
        if place == "tool.done.after":
            reached.append(place)
        elif reached == ["tool.done.after"] and place == "run.commit.before":
            reached.append(place)
            # The commit is sent all the same, and is written.
            supervision.exit(supervision.self_pid(), reason)

    call = ToolCall("call_0", "put", '{"text": "x"}') if ordered else None
    with hooked(end):
        await tenant.ask("hello", call=call, queue="followup")
    await trio.sleep(1)
    assert len(reached) == 2
    left = supervision.names(names.call("default", "run-1", ""))
    assert [entry.name for entry in left] == []
