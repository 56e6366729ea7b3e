"""The sandbox of an agent: policy and machine, put upon each of its commands."""

import os
import shutil
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

import attrs

import supervision
from beamclaw.config.schema import Config, SandboxConfig, over, own_of
from beamclaw.contracts import names
from beamclaw.contracts.commands import CannotStart, Disk, Launch
from beamclaw.contracts.outside import Worker
from beamclaw.contracts.sandbox import (
    SYSTEM,
    CannotIsolate,
    GetMachine,
    Machine,
    Need,
    Trust,
    refusal,
    secrets_of,
)
from beamclaw.sandbox import seccomp
from beamclaw.sandbox.bubblewrap import View, wrapped
from beamclaw.sandbox.deciding import Plan, decide, least, mode_of
from beamclaw.sandbox.looking import processor
from beamclaw.sandbox.server import where
from beamclaw.values import frozen


def policy_of(config: Config, agent: str) -> SandboxConfig:
    """What holds for an agent: its own keys, else the node's."""
    return over(config.tools.exec.sandbox, own_of(config, agent).sandbox)


@frozen(kw_only=True)
class AgentSandbox:
    """See :class:`beamclaw.contracts.sandbox.Sandbox`.

    Attributes:
        tenant: Whose.
        policy: Of the agent.
        closed: What is hidden from all its commands.
        home: Of the person whom the node works for.
        worker: Looks at files, away from the event loop.
        machine: What works here. None: what the tenant's sandbox has found out.
    """

    tenant: str
    policy: SandboxConfig
    worker: Worker
    closed: tuple[str, ...] = ()
    home: str = attrs.field(factory=lambda: str(Path("~").expanduser()))
    machine: Machine | None = None

    async def wrap(self, launch: Launch, need: Need) -> Launch:
        """See the Protocol."""
        machine = await self._machine()
        plan = decide(self.policy, machine, need)
        return await self.worker.run(lambda: self._wrapped(launch, need, plan, machine))

    async def words(self, trust: Trust) -> str:
        """See the Protocol."""
        return where(self.policy, await self._machine(), trust)

    async def wants_consent(self, trust: Trust) -> bool:
        """See the Protocol."""
        machine = await self._machine()
        try:
            decide(self.policy, machine, Need(trust=trust))
        except CannotIsolate:
            return mode_of(self.policy, trust) != "bubblewrap"
        return False

    async def search_path(self, path: str, trust: Trust) -> str:
        """See the Protocol."""
        machine = await self._machine()
        # Agreed to or not: it finds the same programs.
        plan = decide(self.policy, machine, Need(trust=trust, agreed=True))
        if not plan.isolated:
            return path
        return await self.worker.run(lambda: self._seen(path, machine))

    def _seen(self, path: str, machine: Machine) -> str:
        policy = self.policy
        view = View(
            writable=self._resolved(policy.write),
            readable=self._resolved(policy.read, sockets=False),
        )
        folders = path.split(":")
        return ":".join(
            each for each in folders if visible(os.path.realpath(each), view, machine)
        )

    async def _machine(self) -> Machine:
        if self.machine is not None:
            return self.machine
        door = names.of_tenant(self.tenant, "sandbox")
        try:
            return await supervision.call(door, GetMachine(), timeout=None)
        except (supervision.CallFailed, CannotStart):
            raise CannotIsolate(
                "what can be isolated here is not known yet: try again in a moment"
            ) from None

    def _wrapped(
        self, launch: Launch, need: Need, plan: Plan, machine: Machine
    ) -> Launch:
        """Looks at files, so it is called off the event loop."""
        policy = self.policy
        writable = self._resolved((*need.writable, *policy.write))
        disk = Disk(folders=writable, most=policy.disk, spare=policy.disk_spare)
        bound = attrs.evolve(
            launch,
            limits=least(launch.limits, plan.limits),
            cgroups=plan.cgroups,
            seconds=policy.seconds or None,
            disk=disk if writable else None,
        )
        if not plan.isolated:
            return bound
        view = self._view(writable, need, plan)
        program = _called(launch)
        if not visible(program, view, machine):
            raise CannotIsolate(
                f"{program} is not in the sandbox: a person can name its folder in "
                "tools.exec.sandbox.read"
            )
        rules = seccomp.program(processor())
        return wrapped(bound, program, view, machine, rules)

    def _view(self, writable: tuple[str, ...], need: Need, plan: Plan) -> View:
        policy = self.policy
        own = self._resolved(need.writable)
        readable = tuple(
            path
            for path in self._resolved((*need.readable, *policy.read), sockets=False)
            if path not in writable
        )
        for path in writable:
            self._admit(path, writable=True, own=path in own)
        for path in self._resolved(policy.read, sockets=False):
            self._admit(path, writable=False, own=False)
        seen = (*writable, *readable)
        readable = tuple(each for each in readable if not _of_system(each))
        hidden = [
            path
            for path in self._resolved(
                (*need.closed, *self.closed, *secrets_of(self.home))
            )
            if any(_inside(path, each) for each in seen)
        ]
        return View(
            writable=writable,
            readable=readable,
            hidden=tuple(path for path in hidden if Path(path).is_dir()),
            hidden_files=tuple(path for path in hidden if not Path(path).is_dir()),
            network=plan.network,
            temporary=policy.tmp,
        )

    def _admit(self, path: str, *, writable: bool, own: bool) -> None:
        words = refusal(path, os.path.realpath(self.home), writable=writable, own=own)
        if words is not None:
            raise CannotIsolate(words)

    @staticmethod
    def _resolved(paths: Iterable[str], *, sockets: bool = True) -> tuple[str, ...]:
        """Without links, each once, and those only that are there.

        Raises:
            CannotIsolate: One is neither a file nor a folder.
        """
        found: dict[str, None] = {}
        for path in paths:
            real = os.path.realpath(Path(path).expanduser())
            try:
                mode = Path(real).stat().st_mode
            except OSError:
                continue
            if not sockets and not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                raise CannotIsolate(f"{path} is neither a file nor a folder")
            found[real] = None
        return tuple(found)


def interpreter() -> tuple[str, tuple[str, ...]]:
    """The Python that we are, and what it has to read: for programs of our own."""
    folders = {sys.base_prefix, sys.base_exec_prefix}
    return os.path.realpath(sys.executable), tuple(sorted(folders))


def _of_system(path: str) -> bool:
    """Whether it is there in any case; mounted again it would hide what is below."""
    return any(_inside(path, each) for each in SYSTEM)


def visible(program: str, view: View, machine: Machine) -> bool:
    """Whether the program is there for the command."""
    links = tuple(path for path, _ in machine.links)
    seen = (*machine.folders, *links, *view.readable, *view.writable, "/nix/store")
    return any(_inside(program, each) for each in seen)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _called(launch: Launch) -> str:
    """The program by the name that it was called with, where that leads to it.

    Some do by it what they are called: ``ls`` may be a link to one that is all of them.
    """
    if not launch.path:
        return launch.argv[0]
    name = launch.argv[0]
    found = name if "/" in name else shutil.which(name, path=launch.env.get("PATH", ""))
    if found and found.startswith("/") and os.path.realpath(found) == launch.path:
        return found
    return launch.path
