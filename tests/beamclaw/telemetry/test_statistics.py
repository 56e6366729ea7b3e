"""What is proved: figures of providers are right, bounded, and there after a start."""

import random
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

import supervision
from beamclaw.config.schema import StatisticsConfig
from beamclaw.contracts import news
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.providers import LEFT_ALONE
from beamclaw.contracts.statistics import ReadStatistics
from beamclaw.store import StoreServer
from beamclaw.telemetry.statistics import server
from beamclaw.telemetry.statistics.figures import BUCKETS, Figures, Sketch
from beamclaw.telemetry.statistics.server import StatisticsServer

DAY = 86_400.0


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_share_is_known_within_a_twentieth(share):
    numbers, sketch = random.Random(1), Sketch()
    values = sorted(numbers.lognormvariate(0, 2) for _ in range(5_000))
    for value in values:
        sketch.add(value)
    exact = values[int(share * len(values)) - 1]
    assert sketch.quantile(share) == pytest.approx(exact, rel=0.06)
    assert len(sketch.buckets) <= BUCKETS


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1e-9, 1e12, float("inf")])
def test_whatever_comes_there_are_no_more_buckets(seconds):
    sketch = Sketch()
    sketch.add(min(seconds, 1e300))
    assert all(0 <= place < BUCKETS for place in sketch.buckets)
    assert Sketch().quantile(0.5) is None


MEASURED = {
    "input": 5,
    "output": 2,
    "cached": 1,
    "stored": 3,
    "cost": 0.25,
    "resends": 0,
}


def figures(outcome: str = "ok", seconds: float = 1.0) -> Figures:
    made = Figures()
    made.called({**MEASURED, "first": seconds / 2, "seconds": seconds}, outcome)
    return made


def test_two_days_are_joined_and_kept_as_they_are():
    both = figures()
    both.join(figures("server"))
    again = Figures.load(both.dump())
    assert again == both
    shown = again.shown("x")
    assert (shown.calls, shown.errors, shown.input) == (2, {"server": 1}, 10)
    assert shown.cost == 0.5
    assert shown.whole.p50 == pytest.approx(1.0, rel=0.05)
    assert Figures.load(b"{}") == Figures()


class Clock:
    wall = 1_795_000_000.0  # 2026-11-18


@asynccontextmanager
async def running(folder, clock: Clock | type[Clock] = Clock, **settings):
    outside = Outside(threads=False, worker=InlineWorker)
    wanted = StatisticsConfig(**settings)
    specs = [
        supervision.ChildSpec(
            "store", partial(StoreServer, folder, outside), name="store"
        ),
        supervision.ChildSpec(
            "statistics",
            partial(StatisticsServer, lambda: wanted, lambda: clock.wall, str),
            name="statistics",
        ),
    ]
    async with supervision.open_supervisor(specs):
        yield


def called(outcome: str = "ok", resends: int = 0, model: str = "m") -> None:
    times = (0.0, 0.5, 2.0)
    usage = Usage(input=10, output=3)
    call = news.Called(
        tenant="default",
        run_id="r",
        resends=resends,
        target=("p", model),
        outcome=outcome,
    )
    news.tell_called(call, times=times, usage=usage, cost=7)


async def read(since: str = "2026-11-01", by: str = "model"):
    return await supervision.call("statistics", ReadStatistics(since, by))  # pyright: ignore[reportArgumentType]


async def test_calls_are_there_after_a_start(tmp_path, autojump_clock):
    async with running(tmp_path):
        called("server")
        called(resends=1)
        called()
        supervision.emit(
            LEFT_ALONE,
            {"seconds": 5.0},
            {"provider": "p", "key": "1", "kind": "server", "why": ""},
        )
    async with running(tmp_path):
        called()
        rows = {row.name: row for row in await read()}
    assert set(rows) == {"p", "p/m"}
    row = rows["p/m"]
    assert (row.calls, row.errors, row.retries) == (4, {"server": 1}, 1)
    assert (row.input, row.output) == (40, 12)
    assert row.cost == pytest.approx(28e-6)
    assert row.first.p50 == pytest.approx(0.5, rel=0.05)
    assert row.whole.p99 == pytest.approx(2.0, rel=0.05)
    assert rows["p"].openings == 1


async def test_what_is_new_is_written_a_while_later(tmp_path, autojump_clock):
    async with running(tmp_path, interval=10.0):
        called()
        await trio.sleep(11)
        pid = supervision.whereis("statistics")
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        await trio.sleep(1)
        assert [row.calls for row in await read()] == [1]


async def test_days_are_apart_and_old_ones_are_forgotten(tmp_path, autojump_clock):
    class Later(Clock):
        pass

    async with running(tmp_path, Later, keep_days=2):
        called()
        await read()
        Later.wall += DAY
        called()
        assert [row.name for row in await read(by="day")] == [
            "2026-11-18",
            "2026-11-19",
        ]
        assert [row.calls for row in await read("2026-11-19")] == [1]
        Later.wall += 2 * DAY
        called()
        assert [row.name for row in await read(by="day")] == [
            "2026-11-19",
            "2026-11-21",
        ]


async def test_a_client_that_makes_names_up_fills_nothing(
    tmp_path, monkeypatch, autojump_clock
):
    monkeypatch.setattr(server, "MOST_MODELS", 5)
    async with running(tmp_path):
        for number in range(4):
            called(model=f"m{number}")
        await read()
        for number in range(20):
            called(model=f"n{number}")
        rows = {row.name: row.calls for row in await read()}
    assert sum(rows.values()) == 24
    assert len(rows) <= 6
    assert rows["p/other"] >= 15


async def test_without_the_store_it_goes_on_counting(tmp_path, autojump_clock):
    start = partial(StatisticsServer, StatisticsConfig, lambda: Clock.wall, str)
    spec = supervision.ChildSpec("statistics", start, name="statistics")
    async with supervision.open_supervisor([spec]):
        called()
        assert [row.calls for row in await read()] == [1]
        assert [row.calls for row in await read()] == [1]
