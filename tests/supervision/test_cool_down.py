"""Cooling down: chance, the alarm and its end, and what it has no part in."""

import math
from typing import Any

import pytest
import trio

import supervision
from supervision import (
    KILL,
    BadChildSpec,
    ChildSpec,
    CoolDown,
    DynamicSupervisor,
    Intensity,
    Supervisor,
)
from supervision.testing import Recorder, settle
from tests.supervision.stage import Echo, child, listen, tree

COOLING = "supervision.child.cooling_down"
RECOVERED = "supervision.child.recovered"
RULE = CoolDown(after=(0, 5.0), first=10, jitter=0)


def pid_of(name: str) -> supervision.Pid:
    pid = supervision.whereis(name)
    assert pid is not None
    return pid


async def crash(name: str) -> None:
    supervision.exit(pid_of(name), "on purpose")
    await settle()


def told(events: Recorder) -> list[tuple[str, object]]:
    """Alarms and their ends."""
    return [
        (event.name.rpartition(".")[2], event.metadata["id"])
        for event in events.events
        if event.name in (COOLING, RECOVERED)
    ]


@pytest.fixture(params=["static", "dynamic"])
def branch(request: pytest.FixtureRequest):
    """A supervisor with one child that cools down."""

    def make(start: Any = listen, rule: CoolDown = RULE) -> ChildSpec:
        spec = child("it", start, cool_down=rule)
        if request.param == "static":
            return child("sup", Supervisor, [spec], type="supervisor")

        waiting.append(spec)
        return child("sup", DynamicSupervisor, type="supervisor")

    waiting: list[ChildSpec] = []

    async def begin() -> None:
        for spec in waiting:
            await supervision.start_child("sup", spec)

    return make, begin


# --- the alarm


async def test_an_alarm_ends_when_the_child_has_stayed_up(
    branch, events: Recorder, autojump_clock
):
    make, begin = branch
    async with tree(make()):
        await begin()
        await crash("it")
        assert told(events) == [("cooling_down", "it")]
        await trio.sleep(10.1)
        assert supervision.whereis("it") is not None
        await trio.sleep(4.8)
        assert told(events) == [("cooling_down", "it")]
        await trio.sleep(0.2)
        assert told(events) == [("cooling_down", "it"), ("recovered", "it")]
        (event,) = events.named(RECOVERED)
        assert event.measurements == {"restarts": 1}
        assert event.metadata["pid"] is pid_of("it")
        assert event.metadata["supervisor"] is pid_of("sup")
        await trio.sleep(100)
        assert len(events.named(RECOVERED)) == 1
        # And the next wait is the first again.
        await crash("it")
        assert events.named(COOLING)[1].measurements["seconds"] == 10


async def test_a_child_that_falls_again_has_not_recovered(
    branch, events: Recorder, autojump_clock
):
    make, begin = branch
    async with tree(make()):
        await begin()
        await crash("it")
        await trio.sleep(12)
        await crash("it")
        await trio.sleep(10)
        assert [event.measurements["seconds"] for event in events.named(COOLING)] == [
            10,
            20,
        ]
        assert not events.named(RECOVERED)


async def test_who_recovered_begins_with_restarts_at_once(
    branch, events: Recorder, autojump_clock
):
    make, begin = branch
    async with tree(make(rule=CoolDown(after=(1, 5.0), first=10, jitter=0))):
        await begin()
        for _ in range(2):
            await crash("it")
        await trio.sleep(20)
        await crash("it")
        await trio.sleep(20)
        assert told(events) == [("cooling_down", "it"), ("recovered", "it")]


async def test_who_recovered_is_started_by_hand_like_any_other(
    events: Recorder, autojump_clock
):
    async with tree(child("it", cool_down=RULE)) as root:
        await crash("it")
        await trio.sleep(20)
        await supervision.terminate_child(root, "it")
        await supervision.restart_child(root, "it")
        await trio.sleep(20)
        assert told(events) == [("cooling_down", "it"), ("recovered", "it")]


async def test_a_child_of_whose_end_nobody_took_note_yet_has_not_recovered(
    events: Recorder, autojump_clock
):
    async with tree(child("it", cool_down=RULE)) as root:
        await crash("it")
        await trio.sleep(12)
        await supervision.sys.suspend(root)
        await crash("it")
        await trio.sleep(20)
        assert not events.named(RECOVERED)
        await supervision.sys.resume(root)


@pytest.mark.parametrize("ending", ["stays", "falls", "terminated"])
async def test_nothing_is_left_of_an_alarm_that_did_not_end(
    branch, ending, events: Recorder, autojump_clock
):
    """What is looked for after every test: a timer that would still fire."""
    make, begin = branch
    async with tree(make()):
        await begin()
        await crash("it")
        await trio.sleep(11)
        pid: Any = pid_of("it")
        if ending == "falls":
            await crash("it")
        elif ending == "terminated":
            await supervision.terminate_child("sup", pid)
    assert not events.named(RECOVERED)


async def test_nothing_is_left_of_the_alarm_of_who_ends_for_good(autojump_clock):
    end = trio.Event()
    spec = child("it", end.wait, restart="transient", cool_down=RULE)
    async with tree(spec) as root:
        await crash("it")
        await trio.sleep(11)
        end.set()
        await settle()
        await supervision.delete_child(root, "it")


async def test_a_child_that_was_terminated_has_not_recovered(
    branch, events: Recorder, autojump_clock
):
    make, begin = branch
    async with tree(make()):
        await begin()
        await crash("it")
        await trio.sleep(11)
        key: Any = pid_of("it")
        await supervision.terminate_child("sup", key)
        await trio.sleep(100)
        assert not events.named(RECOVERED)


async def test_a_child_that_ends_for_good_has_not_recovered(
    events: Recorder, autojump_clock
):
    end = trio.Event()
    spec = child("it", end.wait, restart="transient", cool_down=RULE)
    async with tree(spec):
        await crash("it")
        await trio.sleep(11)
        end.set()
        await trio.sleep(100)
        assert not events.named(RECOVERED)
        assert supervision.tree().children[0].status == "undefined"


async def test_a_child_that_takes_its_time_recovers_once_it_runs(
    events: Recorder, autojump_clock
):
    class Slow(Echo):
        starts = 0

        async def init(self) -> None:
            Slow.starts += 1
            if Slow.starts > 1:
                await trio.sleep(7)

    async with tree(child("it", Slow, cool_down=RULE)):
        await crash("it")
        await trio.sleep(16)  # it runs from 17 on
        assert not events.named(RECOVERED)
        await trio.sleep(5)
        assert len(events.named(RECOVERED)) == 1


async def test_who_never_had_to_wait_has_nothing_to_recover_from(
    branch, events: Recorder, autojump_clock
):
    make, begin = branch
    async with tree(make(rule=CoolDown(after=(2, 5.0)))):
        await begin()
        for _ in range(2):
            await crash("it")
        await trio.sleep(100)
        assert told(events) == []


# --- instead of escalation


async def test_restarts_of_a_cooling_child_do_not_count_for_its_supervisor(
    autojump_clock,
):
    cooling = child("cooling", cool_down=CoolDown(after=(3, 5.0), jitter=0))
    async with tree(cooling, child("other"), max_restarts=1) as root:
        for _ in range(3):
            await crash("cooling")
        await crash("other")
        assert supervision.is_alive(root)
        await crash("cooling")
        assert supervision.whereis("cooling") is None
        assert supervision.is_alive(root)


async def test_chance_keeps_many_children_out_of_step(events: Recorder, autojump_clock):
    starts: list[float] = []

    async def note() -> None:
        starts.append(trio.current_time())
        await listen()

    rule = CoolDown(after=(0, 5.0), first=10, jitter=0.5)
    names = [f"child {number}" for number in range(50)]
    async with tree(*(child(name, note) for name in names), cool_down=rule):
        await settle()
        begin = trio.current_time()
        starts.clear()
        for name in names:
            supervision.exit(pid_of(name), KILL)
        await trio.sleep(20)
    waits = [start - begin for start in starts]
    assert len(waits) == 50
    assert all(5 <= wait <= 15.001 for wait in waits)
    # Not one of them at the same time as another, and over the whole range.
    assert len({round(wait, 6) for wait in waits}) > 45
    assert max(waits) - min(waits) > 5
    assert sorted(event.measurements["seconds"] for event in events.named(COOLING)) == (
        pytest.approx(sorted(waits), abs=0.01)
    )


async def test_a_new_rule_holds_from_the_next_end_on(events: Recorder, autojump_clock):
    async with tree(child("it"), cool_down=RULE) as root:
        await crash("it")
        await trio.sleep(11)
        new = CoolDown(after=(0, 5.0), first=3, jitter=0)

        def replace(state: dict[str, Any]) -> dict[str, Any]:
            return {**state, "cool_down": new}

        await supervision.sys.replace_state(root, replace)
        await crash("it")
        assert [event.measurements["seconds"] for event in events.named(COOLING)] == [
            10,
            3,
        ]


# --- the numbers


@pytest.mark.parametrize(
    "options",
    [
        {"first": 0},
        {"first": -1},
        {"first": math.nan},
        {"first": 10, "most": 5},
        {"most": math.inf},
        {"factor": 0.5},
        {"factor": math.nan},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"after": (-1, 5.0)},
        {"after": (3, 0)},
    ],
    ids=repr,
)
def test_numbers_that_make_no_sense_are_refused(options):
    with pytest.raises(BadChildSpec):
        CoolDown(**options)


def test_what_a_cool_down_is_without_options():
    rule = CoolDown()
    assert rule.after == Intensity(3, 5.0)
    assert (rule.first, rule.factor, rule.most, rule.jitter) == (1.0, 2.0, 60.0, 0.1)
