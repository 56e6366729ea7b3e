"""What is proved: a deed that may be done is told of, and one that was refused is not."""

from contextlib import suppress

import pytest
import trio

import supervision
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.lifecycle import TurnInProgress
from beamclaw.contracts.session_deeds import Deed, Person, told


@pytest.mark.parametrize(
    "error, outcomes",
    [
        (TurnInProgress("a turn is in progress"), []),
        (supervision.NoProcess("agent:main:main"), ["unclear"]),
        (None, ["done"]),
    ],
)
def test_what_may_have_been_done_is_told(error, outcomes):
    assert deeds(error) == outcomes


async def test_who_leaves_before_the_end_is_told_of():
    seen = []
    detach = supervision.telemetry.attach(seen.append)
    with trio.CancelScope() as scope, told("default", "main", Person("x"), Deed("y")):
        scope.cancel()
        await trio.sleep_forever()
    detach()
    assert [event.metadata["outcome"] for event in seen] == ["unclear"]


def deeds(error):
    seen = []
    detach = supervision.telemetry.attach(seen.append)
    person, deed = Person("terminal", 7, 8), Deed("delete")
    quiet = suppress(LedgerError, supervision.CallFailed)
    with quiet, told("default", "main", person, deed):
        if error is not None:
            raise error
    detach()
    return [event.metadata["outcome"] for event in seen]
