"""Commands in the background: their session is told of their end, once, whatever dies."""
# ruff: noqa: ASYNC110 -- the clock is virtual

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest
import trio
import trio.testing

import supervision
from beamclaw import commands
from beamclaw.bus import LocalBus
from beamclaw.commands import door
from beamclaw.contracts.command_policy import CommandPolicy
from beamclaw.contracts.ledger import Claim, Commit
from beamclaw.contracts.ledger_reads import ReadCommands
from beamclaw.contracts.ledger_session_ops import DropSession
from beamclaw.contracts.lifecycle import DeleteSession, order
from beamclaw.contracts.outside import InlineWorker
from beamclaw.contracts.points import hooked
from beamclaw.ledger import Owner, server
from beamclaw.paths import Roots
from beamclaw.testing._programs import Programs
from tests.beamclaw.sessions.conftest import KEY, Model, Tenant
from tests.beamclaw.sessions.test_tools import report, say, use

Open = Callable[..., AbstractAsyncContextManager[Tenant]]
LEDGER = "default/ledger"
LONG = use(("exec", {"command": "sh -c 'echo a; sleep 60; echo b'", "yieldMs": 1000}))


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest.fixture
def opened(tmp_path: Path, model: Model, programs: Programs, open_tenant: Open):
    setting = commands.Setting(
        tenant="default",
        agent="main",
        roots=Roots(workspace=tmp_path / "workspace"),
        policy=CommandPolicy(mode="off"),
        env={"PATH": "/usr/bin:/bin"},
        worker=InlineWorker(),
    )
    model.tools.update({tool.spec.name: tool for tool in commands.tools(setting)})
    model.scripts = [LONG, report, say("I see")]

    def opener(**options):
        return open_tenant(programs=programs, **options)

    return opener


def notices(model: Model) -> list[str]:
    """What the model was told of ends, in its last call."""
    texts = [message.text for message in model.calls[-1].messages]
    return [text for text in texts if text.startswith("[The command")]


async def told(model: Model) -> None:
    """Until the model has been asked about a notice, and everything is quiet."""
    while not notices(model):
        await trio.sleep(0.1)
    await trio.sleep(5)


async def nothing_is_left() -> bool:
    return await supervision.call(LEDGER, ReadCommands()) == ()


async def test_its_end_wakes_the_session(opened, model, autojump_clock):
    async with opened() as tenant:
        ended = await tenant.ask("run it")
        assert "goes on in the background" in ended.text
        assert len(await supervision.call(LEDGER, ReadCommands())) == 1
        await told(model)

        (notice,) = notices(model)
        assert notice.splitlines()[0].endswith("is over: exit code 0.]")
        assert notice.endswith("Its output ends with:\na\nb")
        assert await nothing_is_left()


async def test_a_command_that_is_done_in_time_is_not_told_of(
    opened, model, autojump_clock
):
    model.scripts = [use(("exec", {"command": "echo hello"})), report, say("never")]
    async with opened() as tenant:
        ended = await tenant.ask("run it")
        await trio.sleep(100)

        assert ended.text == "call_0=hello;"
        assert len(model.calls) == 2


@pytest.mark.parametrize(
    "victim", ["default/notices", LEDGER, "default/sessions", "default/limits"]
)
async def test_it_is_told_once_when_others_die(opened, model, autojump_clock, victim):
    async with opened() as tenant:
        await tenant.ask("run it")
        await tenant.kill(victim)
        await told(model)

        (notice,) = notices(model)
        assert "exit code 0" in notice
        assert await nothing_is_left()


async def test_a_lost_launcher_is_told(opened, model, programs, autojump_clock):
    async with opened() as tenant:
        await tenant.ask("run it")
        programs.lose()
        await told(model)

        assert "is over: lost: the launcher has ended" in notices(model)[0]


async def test_one_that_died_with_its_holder_is_told(opened, model, autojump_clock):
    async with opened() as tenant:
        await tenant.ask("run it")
        (row,) = await supervision.call(LEDGER, ReadCommands())
        await tenant.kill(f"default/command/{row.command_id}")
        await told(model)

        assert "is over: lost" in notices(model)[0]
        assert await nothing_is_left()


async def test_one_that_was_cut_with_the_node_is_told_after_the_start(
    opened, model, autojump_clock
):
    async with opened() as tenant:
        await tenant.ask("run it")
    async with opened():
        await told(model)

        assert "is over: lost" in notices(model)[0]
        assert await nothing_is_left()


def dies_at(name: str) -> Callable[[str], None]:
    """A hook that has the process die that comes to the point *name*, once."""
    times = iter([True])

    def hook(point: str) -> None:
        if point == name and next(times, False):
            supervision.exit(supervision.self_pid(), supervision.KILL)

    return hook


POINTS = [
    f"{name}.{side}"
    for name in (
        "notice.note",
        "notice.tell",
        "notice.rouse",
        "notice.drop",
        "command.over",
    )
    for side in ("before", "after")
]


@pytest.mark.parametrize("point", POINTS)
async def test_whoever_dies_at_any_step_it_is_told_once(
    opened, model, autojump_clock, point
):
    async with opened() as tenant:
        with hooked(dies_at(point)):
            await tenant.ask("run it")
            await told(model)

        assert len(notices(model)) == 1
        assert await nothing_is_left()


async def test_a_session_that_was_deleted_is_told_nothing(
    opened, model, autojump_clock
):
    async with opened() as tenant:
        await tenant.ask("run it")
        await tenant.kill(f"default/session/{KEY}")
        calls = len(model.calls)
        await dropped()
        await trio.sleep(200)

        assert len(model.calls) == calls
        assert await nothing_is_left()


async def dropped() -> None:
    """As the clean-up does it."""
    entry = supervision.lookup(LEDGER)
    assert entry is not None
    assert isinstance(entry.value, Owner)
    claim = Claim("default", entry.value.owner_epoch)
    drop = Commit(
        claim=claim, session_key=KEY, expected_seq=None, ops=(DropSession(1.0),)
    )
    await supervision.call(LEDGER, drop)


async def test_a_session_that_is_deleted_takes_its_commands_along(
    opened, programs, autojump_clock
):
    async with opened() as tenant:
        await tenant.ask("run it")
        assert programs.running
        await order(LocalBus(), "default", KEY, DeleteSession())
        await trio.testing.wait_all_tasks_blocked()

        assert not programs.running
        assert await nothing_is_left()


def killed(who: str, *points: str) -> Callable[[str], None]:
    """A hook that kills *who* when *points* have come, one after the other; once."""
    left = [*points]

    def hook(point: str) -> None:
        if left and point == left[0]:
            left.pop(0)
            if not left:
                supervision.exit(who, supervision.KILL)

    return hook


SESSION = f"default/session/{KEY}"


@pytest.mark.parametrize(
    "who, point",
    [
        # It is deleted, and who deletes it has not heard of that.
        (SESSION, "ledger.reply.before"),
        (SESSION, "command.unread.before"),
        (LEDGER, "command.unread.before"),
        (LEDGER, "command.unread.after"),
        ("default/launcher", "command.unread.before"),
        ("default/launcher", "command.unread.after"),
        ("default/notices", "command.unread.after"),
    ],
)
async def test_whoever_dies_over_a_deletion_no_command_is_left(
    opened, programs, autojump_clock, who, point
):
    async with opened() as tenant:
        await tenant.ask("run it")
        before = supervision.whereis(who)
        with hooked(killed(who, "session.set.before", point)):
            with suppress(supervision.CallFailed):
                await order(LocalBus(), "default", KEY, DeleteSession())
            while supervision.whereis(LEDGER) is None:
                await trio.sleep(0.1)
            await order(LocalBus(), "default", KEY, DeleteSession())  # asked again
        await trio.sleep(1)

        assert supervision.whereis(who) != before
        assert not programs.running
        assert await nothing_is_left()


@pytest.mark.parametrize("who", [LEDGER, "default/notices"])
async def test_a_ledger_that_died_before_it_said_so_leaves_no_command(
    opened, programs, monkeypatch, autojump_clock, who
):
    async with opened() as tenant:
        await tenant.ask("run it")
        with monkeypatch.context() as patch:
            patch.setattr(server, "end_commands_of", lambda *_: None)
            await order(LocalBus(), "default", KEY, DeleteSession())
        await trio.sleep(1)
        assert programs.running
        await tenant.kill(who)
        await trio.sleep(1)

        assert not programs.running


@pytest.mark.parametrize("who", [LEDGER, "default/notices"])
async def test_such_a_command_is_not_left_to_a_successor_of_the_same_name(
    opened, model, programs, autojump_clock, who
):
    model.scripts = [LONG, report, LONG, report]
    async with opened() as tenant:
        await tenant.ask("run it")
        (first,) = await running()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server, "end_commands_of", lambda *_: None)
            await order(LocalBus(), "default", KEY, DeleteSession())
        await tenant.ask("again")
        assert len(programs.running) == 2
        await tenant.kill(who)
        await trio.sleep(1)

        assert len(programs.running) == 1
        assert first not in await running()


async def running() -> list[str]:
    """Ids of commands that are not over."""
    found = await door.known("default")
    return [id_ for id_, each in found.items() if each.state != "over"]


async def test_commands_of_others_go_on_when_the_ledger_dies(
    opened, programs, autojump_clock
):
    async with opened() as tenant:
        await tenant.ask("run it")
        await tenant.kill(LEDGER)
        await trio.sleep(1)

        assert programs.running


async def test_the_commands_of_a_session_end_that_the_cleanup_deletes(
    opened, programs, autojump_clock
):
    async with opened() as tenant:
        await tenant.ask("run it")
        await tenant.kill(f"default/session/{KEY}")
        assert programs.running
        await dropped()
        await trio.testing.wait_all_tasks_blocked()

        assert not programs.running


async def test_a_successor_of_the_same_name_keeps_its_commands(
    opened, model, programs, autojump_clock
):
    model.scripts = [LONG, report, LONG, report]
    async with opened() as tenant:
        await tenant.ask("run it")
        await order(LocalBus(), "default", KEY, DeleteSession())
        await tenant.ask("again")
        await trio.sleep(20)

        assert len(programs.running) == 1
