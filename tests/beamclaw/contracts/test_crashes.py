"""What is remembered of crashes."""

import supervision
from beamclaw.contracts import crashes
from beamclaw.contracts.crashes import Crashes
from supervision import Crash

WHY = Crash(ValueError("no"))


def test_who_comes_behind_a_crash_knows_of_those_before_it() -> None:
    known = Crashes()
    known.note(1.0, "a", "<1>", WHY)
    known.note(2.0, "b", "<2>", WHY)
    known.note(3.0, "a", "<3>", WHY)
    last = known.of("a")
    assert last is not None
    assert (last.number, last.at, last.pid, last.times) == (3, 3.0, "<3>", 2)
    assert known.count == 3
    assert [crash.name for crash in known.latest] == ["a", "b", "a"]
    assert known.of("c") is known.of(None) is None


def test_it_does_not_grow() -> None:
    known = Crashes()
    for number in range(crashes.NAMES + 1):
        known.note(0.0, f"run {number}", "<1>", WHY)
    assert known.of("run 0") is None
    assert known.of("run 1") is not None
    assert len(known.latest) == crashes.LATEST
    assert known.latest[-1].number == known.count == crashes.NAMES + 1


async def test_without_a_log_nothing_is_known() -> None:
    async with supervision.open_supervisor([]):
        assert crashes.crashes().count == 0
