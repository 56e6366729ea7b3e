"""What a run lets others see of it."""

from beamclaw.contracts.runs import Progress
from beamclaw.contracts.transcript import Transcript


def test_a_run_knows_what_came_of_its_own_model_call_and_of_no_other() -> None:
    progress = Progress("r", "topic", Transcript(), attempt=2, received=30)
    assert progress.heard(2) == 30
    # Of a call that a death has cut its successor knows nothing.
    assert Progress("r", "topic", Transcript()).heard(2) is None
