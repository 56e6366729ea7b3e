"""What is done with private parts of Trio, and without them: `supervision` is the same."""

# A name or child that is not there fails the test by itself.
# pyright: reportOptionalMemberAccess=false

import contextvars
import os
import subprocess
import sys

import pytest
import trio
from trio.lowlevel import current_task

import supervision
from supervision import Crash, Down, Exited, _trio_parts
from supervision._life import BURST
from supervision.testing import wait_exit
from tests.supervision.stage import OnPurpose, actor, tree

pytestmark = pytest.mark.usefixtures("tasks")

variable = contextvars.ContextVar("variable", default="nobody's")


@pytest.fixture(params=["begun", "plain"])
def tasks(request, monkeypatch):
    """Tasks are begun by whoever waits for them, or by Trio alone."""
    monkeypatch.setattr(_trio_parts, "PLAIN_TASKS", request.param == "plain")
    return request.param


# --- whoever is about to wait for a message takes the step of the newest process


async def nothing():
    pass


async def test_a_process_that_is_waited_for_runs_as_itself():
    seen = []

    async def body():
        seen.append((supervision.self_pid(), current_task().name, variable.get()))
        variable.set("the child's")
        await trio.lowlevel.checkpoint()
        seen.append((supervision.self_pid(), current_task().name, variable.get()))

    async with actor() as here, tree():
        variable.set("the parent's")
        task = current_task()
        pid, ref = supervision.spawn_monitor(body)
        assert seen == []
        down = await supervision.receive(Down)
        assert (down.ref, down.pid) == (ref, pid)
        assert (supervision.self_pid(), current_task()) == (here, task)
        assert variable.get() == "the parent's"
    name = body.__qualname__
    assert seen == [(pid, name, "the parent's"), (pid, name, "the child's")]


@pytest.mark.parametrize("options", [{}, {"match": Down}, {"timeout": 1}])
async def test_nobody_else_runs_before_a_process_that_is_waited_for(tasks, options):
    others = []

    async def other():
        while True:
            others.append(1)
            await trio.lowlevel.checkpoint()

    async with actor(), tree(), trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await trio.lowlevel.checkpoint()
        others.clear()
        supervision.spawn_monitor(nothing)
        await supervision.receive(**options)
        assert (others == []) is (tasks == "begun")
        nursery.cancel_scope.cancel()


async def test_whoever_only_starts_and_waits_lets_others_run():
    others = []

    async def other():
        while True:
            others.append(1)
            await trio.lowlevel.checkpoint()

    async with actor(), tree(), trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(2000):
            supervision.spawn_monitor(nothing)
            await supervision.receive()
        # Whoever waits gives way once in `BURST` turns; the last time, Trio may go on
        # with it before the other's turn has come.
        assert len(others) >= 2000 // BURST - 1
        nursery.cancel_scope.cancel()


async def test_a_task_that_is_no_process_is_left_to_trio():
    log = []

    async def plain():
        log.append(supervision.whereis("waits").process.waiting > 0)

    async def waits():
        nursery.start_soon(plain)
        await supervision.receive()

    async with tree(), trio.open_nursery() as nursery:
        pid = supervision.spawn(waits, name="waits")
        await trio.testing.wait_all_tasks_blocked()
        supervision.send(pid, "go on")
    assert log == [True]


async def test_many_are_told_of_each_once():
    async def body(number):
        if number % 3 == 0:
            await trio.lowlevel.checkpoint()
        if number % 5 == 0:
            raise OnPurpose

    async with actor(), tree():
        refs = {supervision.spawn_monitor(body, number)[1] for number in range(100)}
        crashes = 0
        for _ in range(100):
            down = await supervision.receive(Down)
            refs.remove(down.ref)
            crashes += isinstance(down.reason, Crash)
        assert (refs, crashes) == (set(), 20)


async def test_a_chain_of_those_who_wait_may_be_long():
    async def body(left):
        if left:
            supervision.spawn_monitor(body, left - 1)
            down = await supervision.receive()
            assert down.reason == Exited(left - 1)
        supervision.exit(left)

    async with actor(), tree():
        supervision.spawn_monitor(body, 500)
        assert (await supervision.receive()).reason == Exited(500)


async def test_a_process_may_end_whoever_waits_for_it():
    async def ends(pid):
        supervision.exit(pid, "x")
        supervision.send(pid, "too late")

    log = []

    async def waits():
        supervision.spawn(ends, supervision.self_pid())
        try:
            log.append(await supervision.receive())
            await trio.sleep_forever()
        finally:
            log.append("unwound")

    async with tree():
        assert await wait_exit(supervision.spawn(waits)) == Exited("x")
    assert log[-1] == "unwound"


async def test_whoever_is_cancelled_and_waits_is_cancelled():
    ran = []

    async def body():
        ran.append(1)
        await trio.sleep_forever()

    async with actor(), tree():
        supervision.spawn(body)
        with trio.CancelScope() as scope:
            scope.cancel()
            await supervision.receive()
        assert scope.cancelled_caught
        await trio.testing.wait_all_tasks_blocked()
    assert ran == [1]


async def test_what_is_not_waited_for_stays_while_processes_are_begun(autojump_clock):
    async def tells(pid, message):
        supervision.send(pid, message)

    async with actor() as here, tree():
        for number in range(20):
            supervision.spawn(tells, here, number)
        supervision.spawn(tells, here, "wanted")
        supervision.spawn(tells, here, "last")
        assert await supervision.receive(lambda got: got == "wanted") == "wanted"
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(float, timeout=1)
        rest = [await supervision.receive() for _ in range(21)]
        assert sorted(map(str, rest)) == sorted([*map(str, range(20)), "last"])


async def test_a_poll_runs_nobody():
    ran = []

    async def body():
        ran.append(1)

    async with actor(), tree():
        supervision.spawn(body)
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)
        assert ran == []


async def test_an_instrument_sees_every_step():
    seen = []

    class Instrument(trio.abc.Instrument):
        def before_task_step(self, task):
            seen.append(task.name)

    instrument = Instrument()
    async with actor(), tree():
        trio.lowlevel.add_instrument(instrument)
        supervision.spawn_monitor(nothing)
        await supervision.receive()
        trio.lowlevel.remove_instrument(instrument)
    assert "nothing" in seen


# --- another Trio


def test_parts_that_are_not_as_we_know_them_are_left_alone(monkeypatch):
    assert _trio_parts.splicing_is_possible()
    assert _trio_parts.starting_is_known()
    assert _trio_parts.stepping_is_known()
    for name, other, probe in (
        ("CancelStatus", None, _trio_parts.splicing_is_possible),
        ("CancelStatus", int, _trio_parts.splicing_is_possible),
        ("Task", None, _trio_parts.starting_is_known),
        ("Task", int, _trio_parts.starting_is_known),
        ("_run", None, _trio_parts.starting_is_known),
        ("_traps", None, _trio_parts.starting_is_known),
        ("_OF_SPAWN", frozenset("another"), _trio_parts.starting_is_known),
        ("_OF_STEP", frozenset("another"), _trio_parts.starting_is_known),
        ("_OF_STEP", frozenset("another"), _trio_parts.stepping_is_known),
        ("GLOBAL_RUN_CONTEXT", None, _trio_parts.stepping_is_known),
        ("_traps", None, _trio_parts.stepping_is_known),
        ("Task", int, _trio_parts.stepping_is_known),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(_trio_parts, name, other)
            assert not probe()


async def test_who_is_running_can_be_asked_without_private_parts():
    assert _trio_parts._Running().task is current_task()


SCENARIO = """
import logging, trio, supervision
from supervision import ChildSpec, _life, _server, _trio_parts

logging.disable()
print(_life.EAGER_SCOPES, _server.INLINE, _trio_parts.PLAIN_TASKS)

class Adds(supervision.Server):
    async def init(self):
        self.sum = 0

    async def handle_call(self, request, sender):
        self.sum += request
        return self.sum

async def parked():
    await trio.sleep_forever()

async def main():
    async with supervision.open_supervisor([ChildSpec("adds", Adds, name="adds")]):
        assert await supervision.call("adds", 1) == 1
        first = supervision.whereis("adds")
        supervision.cast("adds", "nonsense")
        while supervision.whereis("adds") in (None, first):
            await trio.lowlevel.checkpoint()
        assert await supervision.call("adds", 2) == 2
        async with supervision.open_supervisor() as root:
            pid = supervision.spawn(parked)
            await trio.testing.wait_all_tasks_blocked()
            supervision.exit(pid, "x")
            await trio.testing.wait_all_tasks_blocked()
            assert not supervision.is_alive(pid)

import trio.testing
trio.run(main)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables, flags",
    [
        ([], "False True False"),
        (["SUPERVISION_EAGER_SCOPES"], "True True False"),
        (["SUPERVISION_QUEUED_CALLS"], "False False False"),
        (["SUPERVISION_PLAIN_TASKS"], "False True True"),
        (
            [
                "SUPERVISION_EAGER_SCOPES",
                "SUPERVISION_QUEUED_CALLS",
                "SUPERVISION_PLAIN_TASKS",
            ],
            "True False True",
        ),
    ],
)
def test_each_part_can_be_left_alone(variables, flags):
    environment = os.environ | dict.fromkeys(variables, "1")
    done = subprocess.run(
        [sys.executable, "-c", SCENARIO],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == flags
