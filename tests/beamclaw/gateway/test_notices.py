"""What is proved: each question is told once and each end of one, whatever dies."""

from functools import partial

import attrs
import trio.testing

import supervision
from beamclaw import bus as carrier
from beamclaw.contracts import waits
from beamclaw.contracts.ledger_reads import ReadWait, ReadWaits
from beamclaw.contracts.ledger_rows import WaitRow
from beamclaw.contracts.outside import Outside
from beamclaw.gateway import notices
from supervision import ChildSpec

ROW = WaitRow(
    wait_id="w",
    session_key="agent:main:main",
    run_id="r1",
    question="run: ls",
    at=5.0,
    expires_at=60.0,
)


class FakeHall:
    def __init__(self):
        self.told = []

    def tell(self, name, payload, *, tenant, scope):
        self.told.append((name.rpartition(".")[2], payload["id"], scope))


class Ledger(supervision.Server):
    def __init__(self, rows: dict[str, WaitRow]) -> None:
        self.rows = rows

    async def handle_call(self, request, sender):
        if isinstance(request, ReadWait):
            return self.rows.get(request.wait_id)
        assert isinstance(request, ReadWaits)
        return tuple(row for row in self.rows.values() if row.verdict is None)


def asked(wait_id):
    return ("requested", wait_id, "operator.approvals")


def over(wait_id):
    return ("resolved", wait_id, "operator.approvals")


def children(hall, rows, clock=lambda: 10.0):
    bus = carrier.LocalBus()
    outside = Outside(wall=clock)
    return [
        ChildSpec("bus", carrier.BusServer, name="bus"),
        ChildSpec("ledger", partial(Ledger, rows), name="default/ledger"),
        ChildSpec(
            "notices",
            partial(notices.supervisor, hall, bus, outside),
            type="supervisor",
        ),
    ]


async def settled():
    waits.tell_changed(carrier.LocalBus(), "default")
    await trio.testing.wait_all_tasks_blocked()


async def test_a_question_and_its_end_are_told_once():
    hall, rows = FakeHall(), {"w": ROW}
    async with supervision.open_supervisor(children(hall, rows)):
        await settled()
        await settled()
        assert hall.told == [asked("w")]
        rows["w"] = attrs.evolve(ROW, verdict="allow", by="anna")
        rows["v"] = attrs.evolve(ROW, wait_id="v")
        await settled()
        assert hall.told == [asked("w"), over("w"), asked("v")]


async def test_what_was_told_is_known_to_a_successor(autojump_clock):
    hall, rows = FakeHall(), {"w": ROW}
    async with supervision.open_supervisor(children(hall, rows)):
        await settled()
        pid = supervision.whereis(notices.APPROVAL_NOTICES)
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        rows["w"] = attrs.evolve(ROW, verdict="deny")
        await trio.sleep(5)
        assert hall.told == [asked("w"), over("w")]


async def test_the_time_to_answer_ends_without_anybodys_doing(autojump_clock):
    hall, rows = FakeHall(), {"w": ROW}
    clock = lambda: 10.0 + trio.current_time() - began  # noqa: E731 -- short
    began = trio.current_time()
    async with supervision.open_supervisor(children(hall, rows, clock)):
        await settled()
        await trio.sleep(51)
        assert hall.told == [asked("w"), over("w")]


async def test_one_that_is_erased_is_over():
    hall, rows = FakeHall(), {"w": ROW}
    async with supervision.open_supervisor(children(hall, rows)):
        await settled()
        rows.clear()
        await settled()
        assert hall.told == [asked("w"), over("w")]


async def test_a_ledger_that_is_down_is_asked_again(autojump_clock):
    hall, rows = FakeHall(), {"w": ROW}
    async with supervision.open_supervisor(children(hall, rows)) as root:
        await settled()
        await supervision.terminate_child(root, "ledger")
        await settled()
        await supervision.restart_child(root, "ledger")
        rows["v"] = attrs.evolve(ROW, wait_id="v")
        await settled()
        await trio.sleep(1)
        assert hall.told == [asked("w"), asked("v")]
