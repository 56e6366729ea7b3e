"""What is proved: the last hours are bounded, right, and begin anew with their process."""

import random

import trio

import supervision
from beamclaw.contracts import news
from beamclaw.contracts.messages import ModelParams
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.sessions import RunEnded
from beamclaw.contracts.statistics import Minute, ReadHistory
from beamclaw.shell.history import columns
from beamclaw.telemetry.statistics.history import KEPT, OTHER, PROVIDERS, Minutes
from tests.beamclaw.telemetry.test_statistics import Clock, called, running

TURN = OpenTurn(
    run_id="r",
    epoch=1,
    agent="main",
    definition="d",
    params=ModelParams(),
    retractable=True,
)
END = RunEnded(run_id="r", outcome="ok", stop_reason="stop", text="")
MEASURED = {"input": 5, "output": 2}


def over(minutes: Minutes, at: float) -> None:
    minutes.over(at, lag=0.5, resident=7, processes=3)


def test_a_minute_has_what_was_counted_in_it_and_the_next_begins_with_nothing():
    minutes = Minutes(began=1.0)
    minutes.turn_ended()
    for outcome in ("ok", "cancelled", "server", "network"):
        minutes.called("p", MEASURED, outcome)
    over(minutes, 61.0)
    over(minutes, 121.0)
    first, second = minutes.read(0.0).minutes
    assert first == Minute(
        at=61.0,
        lag=0.5,
        resident=7,
        processes=3,
        turns=1,
        calls=4,
        tokens=28,
        errors={"p": 2},
    )
    assert (second.turns, second.calls, second.tokens, second.errors) == (0, 0, 0, {})
    assert minutes.read(61.0).minutes == (second,)
    assert (minutes.read(121.0).minutes, minutes.read(121.0).began) == ((), 1.0)


def test_whatever_comes_a_day_of_minutes_is_kept_and_few_names_of_one():
    numbers, minutes = random.Random(3), Minutes(began=0.0)
    for number in range(KEPT + 100):
        if number % 400 == 0:
            for _ in range(3 * PROVIDERS):
                minutes.called(f"p{numbers.random()}", MEASURED, "server")
        over(minutes, float(number))
    kept = minutes.read(-1.0).minutes
    assert [each.at for each in kept] == [float(at) for at in range(100, KEPT + 100)]
    crowded = max(kept, key=lambda each: len(each.errors))
    assert len(crowded.errors) == PROVIDERS + 1
    assert sum(crowded.errors.values()) == 3 * PROVIDERS
    assert crowded.errors[OTHER] == 2 * PROVIDERS


def test_columns_have_a_number_for_each_minute_also_of_a_provider_that_failed_in_one():
    minutes = Minutes(began=0.0)
    minutes.called("p", MEASURED, "server")
    for at in (60.0, 120.0):
        over(minutes, at)
    found = columns(minutes.read(0.0))
    assert found["errors"] == {"p": [1, 0]}
    assert (found["at"], found["calls"]) == ([60.0, 120.0], [1, 0])
    assert columns(minutes.read(120.0))["errors"] == {}


class Walls(Clock):
    """As the virtual clock goes."""

    @property
    def wall(self) -> float:
        return Clock.wall + trio.current_time()


async def test_each_minute_is_a_point_until_the_process_begins_anew(
    tmp_path, autojump_clock
):
    async with running(tmp_path, Walls()):
        begun = Walls().wall
        called("server")
        news.tell_ended("default", "s", TURN, END, at=1.0)
        await trio.sleep(125)
        found = await supervision.call("statistics", ReadHistory())
        assert found.began == begun
        assert [each.at - begun for each in found.minutes] == [60.0, 120.0]
        assert [each.errors for each in found.minutes] == [{"p": 1}, {}]
        assert [each.turns for each in found.minutes] == [1, 0]
        assert found.minutes[0].processes >= 3
        # Nobody watches the loop here.
        assert found.minutes[0].lag is None
        pid = supervision.whereis("statistics")
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        await trio.sleep(1)
        found = await supervision.call("statistics", ReadHistory())
        assert (found.minutes, found.began > begun + 120) == ((), True)
        await trio.sleep(60)
        called()
        found = await supervision.call("statistics", ReadHistory())
        assert [each.calls for each in found.minutes] == [0]
