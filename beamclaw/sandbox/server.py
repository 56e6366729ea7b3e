"""The tenant's sandbox: knows what the machine can do, and finds out when it is asked."""

from contextlib import suppress
from typing import Any, Final

import attrs

import supervision
from beamclaw.config.current import Current
from beamclaw.config.schema import SandboxConfig
from beamclaw.contracts.commands import CannotStart, Launch, run
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.contracts.sandbox import (
    SANDBOX_MISSING,
    SANDBOX_READY,
    GetIsolation,
    GetMachine,
    Isolation,
    LookAtMachine,
    Machine,
)
from beamclaw.sandbox import deciding, ending, seccomp
from beamclaw.sandbox.bubblewrap import View, wrapped
from beamclaw.sandbox.looking import look, processor

# Seconds that a trial may take.
TRIAL_SECONDS: Final = 10.0
# What it is tried with, the strictest first: old versions do not know the first ones, and
# not every kernel has filters.
_CLOSED: Final = ("--unshare-user", "--disable-userns")
_TRIALS: Final = ((_CLOSED, True), ((), True), (_CLOSED, False), ((), False))
_NOT_YET: Final = Isolation(
    trusted="not looked at yet", untrusted="not looked at yet", limits="not known yet"
)


class SandboxServer(supervision.Server):
    """Registered as ``<tenant>/sandbox``; see the module.

    Args:
        tenant: Whose.
        current: What is wanted of it.
        outside: The world, with its machine.
    """

    def __init__(self, tenant: str, current: Current, outside: Outside) -> None:
        self._tenant = tenant
        self._current = current
        self._outside = outside
        self._machine: Machine | None = None
        self._trials = 0

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """What works here."""
        match request:
            case GetMachine():
                return await self._answer(sender)
            case GetIsolation():
                return self._isolation()
            case _:
                return await super().handle_call(request, sender)

    async def handle_cast(self, message: object) -> None:
        """Find out now."""
        if not isinstance(message, LookAtMachine):
            await super().handle_cast(message)
            return
        with suppress(CannotStart):  # whoever needs it asks again
            await self._known()

    async def _answer(self, sender: supervision.From) -> object:
        try:
            return await self._known()
        except CannotStart as error:
            with point("sandbox.refuse"):
                supervision.reply_error(sender, error)
            return supervision.NO_REPLY

    async def _known(self) -> Machine:
        if self._machine is None:
            self._machine = self._outside.machine or await self._tried()
            self._tell()
        return self._machine

    async def _tried(self) -> Machine:
        """The machine, with bubblewrap only if it starts something here."""
        seen = await self._outside.worker().run(look)
        if not seen.bubblewrap:
            return seen
        words = ""
        for options, filtered in _TRIALS:
            machine = attrs.evolve(seen, options=options, filtered=filtered)
            why = await self._why_not(machine)
            if not why:
                return machine
            words = words or why
        return attrs.evolve(seen, bubblewrap="", why=words)

    async def _why_not(self, machine: Machine) -> str:
        """Why nothing starts like that; empty: it does."""
        self._trials += 1
        launch = Launch(argv=("/bin/sh", "-c", "exit 0"), cwd="/", env={})
        rules = seccomp.program(processor()) if machine.filtered else b""
        if machine.filtered and not rules:
            return f"there is no filter for {processor()}"
        ran = await run(
            self._tenant,
            wrapped(launch, "/bin/sh", View(), machine, rules),
            id=f"sandbox-trial-{supervision.self_pid()}-{self._trials}",
            seconds=TRIAL_SECONDS,
        )
        if ran.ended.code == 0:
            return ""
        said = ran.output.decode("utf-8", "replace").strip().splitlines()
        return said[-1][:200] if said else ran.ended.words or "it does not start"

    def _tell(self) -> None:
        found = self._isolation()
        if not found.missing:
            supervision.emit(
                SANDBOX_READY,
                {},
                {
                    "tenant": self._tenant,
                    "trusted": found.trusted,
                    "untrusted": found.untrusted,
                    "limits": found.limits,
                },
            )
            return
        supervision.emit(
            SANDBOX_MISSING,
            {},
            {
                "tenant": self._tenant,
                "missing": "; ".join(found.missing),
                "trusted": found.trusted,
                "untrusted": found.untrusted,
                "limits": found.limits,
            },
        )

    def _isolation(self) -> Isolation:
        if self._machine is None:
            return _NOT_YET
        return isolation_of(self._current.config.tools.exec.sandbox, self._machine)

    def describe(self) -> dict[str, object]:
        """What works."""
        return attrs.asdict(self._isolation())


def isolation_of(policy: SandboxConfig, machine: Machine) -> Isolation:
    """How commands run on *machine*, in words."""
    missing = list[str]()
    wanted = {policy.mode, policy.untrusted} != {"none"}
    if wanted and not machine.bubblewrap:
        missing.append(f"commands cannot be isolated: bubblewrap: {machine.why}")
    if not machine.cgroups:
        words = f"commands are bound one process at a time: {machine.why_no_cgroups}"
        missing.append(
            f"the number of processes cannot be bound: {machine.why_no_cgroups}, and the "
            "node runs as root"
            if machine.root
            else words
        )
    if words := ending.sentence(
        machine.group_only, bubblewrap=bool(machine.bubblewrap)
    ):
        missing.append(words)
    return Isolation(
        trusted=where(policy, machine, "trusted"),
        untrusted=where(policy, machine, "untrusted"),
        limits=_limits(machine),
        missing=tuple(missing),
    )


def where(policy: SandboxConfig, machine: Machine, trust: deciding.Trust) -> str:
    """Where commands of that trust run, in words."""
    mode = deciding.mode_of(policy, trust)
    if mode == "none":
        return "not isolated"
    if machine.bubblewrap:
        network = deciding.network_of(policy, trust)
        return f"in bubblewrap, {'with the' if network else 'without'} network"
    if mode == "auto" and trust == "trusted" and policy.network != "never":
        return "not isolated"
    return "refused" if mode == "bubblewrap" else "not isolated, with consent only"


def _limits(machine: Machine) -> str:
    if machine.cgroups:
        version = machine.cgroups[0].version
        return (
            f"by cgroup (version {version}): {', '.join(sorted(machine.controllers))}"
        )
    return "by process"
