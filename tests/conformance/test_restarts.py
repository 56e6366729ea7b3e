"""Strategy x restart kind x reason: what becomes of the children, as OTP has it.

Three children a, b, c; b ends by itself. The tables say what OTP does (41, 42, 46, 47, 48).
"""

from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import KILL, NORMAL, SHUTDOWN, ChildSpec, Exited, Shutdown
from supervision.testing import Change, Recorder, assert_no_leaks, watching

REASONS = {
    "normal": NORMAL,
    "shutdown": SHUTDOWN,
    "shutdown with a term": Shutdown("term"),
    "an error": ValueError("on purpose"),
    "a term": Exited("term"),
    "a kill": KILL,
}
ORDERLY = {"normal", "shutdown", "shutdown with a term"}

# restart kind, orderly or not -> what becomes of the one that ended
OUTCOME = {
    ("permanent", True): "restarted",
    ("permanent", False): "restarted",
    ("transient", True): "resting",
    ("transient", False): "restarted",
    ("temporary", True): "forgotten",
    ("temporary", False): "forgotten",
}
# strategy -> who else is cycled when the one is restarted
CYCLED = {"one_for_one": "", "one_for_all": "ac", "rest_for_one": "c"}
# restart kind -> what becomes of a sibling that is cycled
SIBLING = {"permanent": "restarted", "transient": "restarted", "temporary": "forgotten"}


@pytest.fixture(autouse=True)
def events():
    # The errors above are kept, and with their tracebacks the processes.
    with assert_no_leaks(memory=False), Recorder.attached() as recorder:
        yield recorder


async def listen() -> None:
    reason = await supervision.receive()
    if isinstance(reason, Exception):
        raise reason
    supervision.exit(reason)


def child(id: str, restart: str) -> ChildSpec:
    return ChildSpec(id, listen, name=id, restart=restart)  # pyright: ignore[reportArgumentType]


def end(name: str, reason: object) -> None:
    pid = supervision.whereis(name)
    assert pid is not None
    if reason is KILL:
        supervision.exit(pid, KILL)
    else:
        supervision.send(pid, reason)


def fate(change: Change) -> str:
    if change.after is None:
        return "forgotten"
    if change.after.status == "undefined":
        return "resting"
    assert change.restarted is not change.unchanged
    return "restarted" if change.restarted else "untouched"


@pytest.mark.otp("41", "42", "46", "47", "48")
@pytest.mark.parametrize("sibling", SIBLING)
@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("strategy", CYCLED)
async def test_what_becomes_of_the_children(strategy, restart, reason, sibling):
    children = [child("a", sibling), child("b", restart), child("c", sibling)]
    async with supervision.open_supervisor(children, strategy=strategy):
        with watching() as watched:
            end("b", REASONS[reason])
            await wait_all_tasks_blocked()
    got = {change.path: fate(change) for change in watched.changes()}
    outcome = OUTCOME[restart, reason in ORDERLY]
    cycled = CYCLED[strategy] if outcome == "restarted" else ""
    assert got == {
        name: SIBLING[sibling] if name in cycled else "untouched" for name in "ac"
    } | {"b": outcome}


@pytest.mark.otp("48")
@pytest.mark.parametrize("how", ["by hand", "normal"])
@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_resting_sibling_is_started_with_its_group(strategy, how):
    children = [
        child("a", "transient"),
        child("b", "permanent"),
        child("c", "transient"),
    ]
    async with supervision.open_supervisor(children, strategy=strategy) as root:
        for name in "ac":
            if how == "by hand":
                await supervision.terminate_child(root, name)
            else:
                end(name, NORMAL)
        await wait_all_tasks_blocked()
        assert supervision.whereis("a") is supervision.whereis("c") is None
        end("b", ValueError())
        await wait_all_tasks_blocked()
        assert supervision.whereis("c") is not None
        assert (supervision.whereis("a") is not None) is (strategy == "one_for_all")


@pytest.mark.otp("46", "47")
@pytest.mark.parametrize("strategy", CYCLED)
async def test_the_order_of_ends_and_starts(strategy):
    """Ends in reverse order, starts in order."""
    log = []

    class Told(supervision.Server):
        trap_exit = True

        def __init__(self, id):
            self.id = id

        async def init(self):
            log.append(f"+{self.id}")

        async def handle_cast(self, message):
            raise ValueError

        async def terminate(self, reason):
            log.append(f"-{self.id}")

    children = [ChildSpec(id, partial(Told, id), name=id) for id in "abcd"]
    async with supervision.open_supervisor(children, strategy=strategy):
        log.clear()
        supervision.cast("b", "crash")
        await wait_all_tasks_blocked()
        expected = {
            "one_for_one": "-b +b",
            "one_for_all": "-b -d -c -a +a +b +c +d",
            "rest_for_one": "-b -d -c +b +c +d",
        }
        assert " ".join(log) == expected[strategy]
        log.clear()
    assert " ".join(log) == "-d -c -b -a"


@pytest.mark.otp("43", "44")
@pytest.mark.parametrize("intensity", [0, 1, 2, 5])
@pytest.mark.parametrize("gap", [0.0, 0.9, 1.2])
async def test_the_window_of_restarts(intensity, gap, autojump_clock):
    """More than the intensity inside one window of 5 s."""
    children = [child("a", "permanent")]
    survived = 0
    try:
        async with supervision.open_supervisor(
            children,
            max_restarts=intensity,
            max_seconds=5,
        ):
            for _ in range(20):
                end("a", ValueError())
                await wait_all_tasks_blocked()
                await trio.sleep(gap)
                survived += 1
    except supervision.SupervisorGaveUp:
        pass
    # How many ends fit into 5 s; the one that exceeds the intensity is not survived.
    per_window = 20 if gap == 0 else int(5 / gap) + 1
    assert survived == (20 if per_window <= intensity else intensity)
