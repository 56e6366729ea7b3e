"""The tenant's launcher, as a process of the node: starts it, and lets commands begin.

The launcher's own process is started with the first command. When it dies, so does this
one, and its successor starts another; the commands that it had started are over by then.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import supervision
from beamclaw.commands.command import CommandServer
from beamclaw.commands.messages import Finished, Forget, GetLauncher, Known, Settings
from beamclaw.contracts import names
from beamclaw.contracts.commands import (
    CannotStart,
    EndCommandsOf,
    Launcher,
    OpenLauncher,
    StartCommand,
)
from beamclaw.contracts.points import point

COOL_DOWN: Final = supervision.CoolDown(first=0.1, factor=2.0, most=30.0, jitter=0.2)


class LauncherLost(Exception):  # noqa: N818 -- a situation
    """What starts commands has ended, and with it all commands."""


class DoorServer(supervision.Server):
    """Registered as ``<tenant>/launcher``; see the module.

    Args:
        tenant: Whose.
        settings: How commands are held.
        open_launcher: Starts what starts programs.
    """

    def __init__(
        self, tenant: str, settings: Settings, open_launcher: OpenLauncher
    ) -> None:
        self._tenant = tenant
        self._settings = settings
        self._open_launcher = open_launcher
        self._launcher: Launcher | None = None
        self._running = names.of_tenant(tenant, "commands")

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """Begin a command; or give out what starts it."""
        try:
            match request:
                case StartCommand():
                    return await self._begin(request)
                case GetLauncher():
                    return await self._open()
                case _:
                    return await super().handle_call(request, sender)
        except CannotStart as error:
            with point("launcher.refuse"):
                supervision.reply_error(sender, error)
            return supervision.NO_REPLY

    async def _begin(self, order: StartCommand) -> supervision.Pid:
        known_ = await known(self._tenant)
        running = sum(each.state != "over" for each in known_.values())
        if running >= self._settings.max_running:
            raise CannotStart(
                f"{running} commands run already (tools.exec.max_running); end one, or "
                "wait for it"
            )
        try:
            with point("command.begin"):
                pid = await supervision.start_child(
                    self._running,
                    supervision.ChildSpec(
                        order.id,
                        partial(CommandServer, self._tenant, order, self._settings),
                        name=names.command(self._tenant, order.id),
                        restart="temporary",
                    ),
                )
        except supervision.AlreadyStarted:
            raise CannotStart("this command was begun already") from None
        assert pid is not None
        return pid

    async def _open(self) -> Launcher:
        if self._launcher is None:
            me = supervision.self_pid()
            with point("launcher.start"):
                self._launcher = await self._open_launcher()
            with point("launcher.watch"):
                supervision.spawn_link(self._watch, me, self._launcher)
        return self._launcher

    @staticmethod
    async def _watch(me: supervision.Pid, launcher: Launcher) -> None:
        try:
            words = await launcher.wait_lost()
            with point("launcher.lost"):
                supervision.send(me, LauncherLost(f"the launcher has ended: {words}"))
        finally:
            launcher.close()

    async def handle_info(self, message: object) -> None:
        """The launcher has died."""
        if isinstance(message, LauncherLost):
            raise message
        await super().handle_info(message)

    async def handle_cast(self, message: object) -> None:
        """One more is over; or a session is deleted."""
        found = (await known(self._tenant)).items()
        match message:
            case Finished():  # of those that are over, only the last ones are kept
                over = [(each.since, i) for i, each in found if each.state == "over"]
                over.sort(reverse=True)
                forget(
                    self._tenant,
                    (id_ for _, id_ in over[self._settings.keep_finished :]),
                )
            case EndCommandsOf(scope):
                forget(
                    self._tenant, (id_ for id_, each in found if each.scope == scope)
                )
            case _:
                await super().handle_cast(message)

    def describe(self) -> dict[str, object]:
        """Whether there is a launcher."""
        return {"launcher": self._launcher is not None}


async def known(tenant: str) -> dict[str, Known]:
    """All commands of *tenant*, those that are over included, by id; nobody is asked.

    Raises:
        supervision.CallFailed: Their supervisor is not there.
    """
    children = await supervision.which_children(names.of_tenant(tenant, "commands"))
    found = dict[str, Known]()
    for child in children:
        entry = supervision.lookup(names.command(tenant, child.id))
        if entry is not None and isinstance(entry.value, Known):
            found[child.id] = entry.value
    return found


def forget(tenant: str, ids: Iterable[str]) -> None:
    """Nobody wants to know anything of these any more: those that run are ended."""
    for id_ in ids:
        with point("command.forget"):
            supervision.cast(names.command(tenant, id_), Forget())
