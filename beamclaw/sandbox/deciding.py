"""How a command may run: policy, what it needs and the machine give a plan, or a no.

Pure; each rule is a case.
"""

from collections.abc import Iterator
from typing import Final

import attrs

from beamclaw.config.schema import SandboxConfig
from beamclaw.contracts.commands import Cgroup, Limits
from beamclaw.contracts.sandbox import (
    CannotIsolate,
    Hierarchy,
    Machine,
    Mode,
    Need,
    Trust,
)
from beamclaw.values import frozen

# Of the processor's time, where there is not enough of it: a quarter of what each other
# program of the machine gets that is alone in its place.
_SHARES_1: Final = "256"
_WEIGHT_2: Final = "25"

UNISOLATED: Final = (
    "bubblewrap does not work here ({why}), and this command acts on words of strangers, "
    "or of a model that nobody watches: a person has to agree to it first, or "
    "tools.exec.sandbox.untrusted has to be none"
)
DEMANDED: Final = (
    "commands are to run in bubblewrap (tools.exec.sandbox.{key}), which does not work "
    "here: {why}"
)
NETWORKED: Final = (
    "commands are to have no network (tools.exec.sandbox.network), which needs bubblewrap, "
    "and that does not work here: {why}"
)
UNBOUND: Final = (
    "nothing can limit this command here (the node runs as root, and {why}), which "
    "tools.exec.sandbox.require_limits wants; run the node as another user, or under a "
    "service manager that gives it its cgroups"
)


@frozen(kw_only=True)
class Plan:
    """How a command runs.

    Attributes:
        isolated: In bubblewrap.
        network: Whether it has the machine's.
        limits: For each of its processes; *cgroups*: for all of them together.
    """

    isolated: bool
    network: bool
    limits: Limits
    cgroups: tuple[Cgroup, ...]


def decide(policy: SandboxConfig, machine: Machine, need: Need) -> Plan:
    """The plan for one command.

    Raises:
        CannotIsolate: It may not run here.
    """
    isolated = _isolated(policy, machine, need)
    network = need.network and network_of(policy, need.trust)
    if not isolated and not need.ours:
        _without(policy, machine, need)
    if not (need.ours or need.agreed or machine.bounds_all) and _demanded(policy, need):
        raise CannotIsolate(UNBOUND.format(why=machine.why_no_cgroups))
    return Plan(
        isolated=isolated,
        network=network or not isolated,
        limits=_limits(policy, machine),
        cgroups=tuple(_cgroups(policy, machine)),
    )


def mode_of(policy: SandboxConfig, trust: Trust) -> Mode:
    """Which mode holds for such commands."""
    return policy.mode if trust == "trusted" else policy.untrusted


def _isolated(policy: SandboxConfig, machine: Machine, need: Need) -> bool:
    works = bool(machine.bubblewrap)
    return works and (need.ours or mode_of(policy, need.trust) != "none")


def _without(policy: SandboxConfig, machine: Machine, need: Need) -> None:
    """It would run without bubblewrap: whether it may."""
    mode = mode_of(policy, need.trust)
    if mode == "bubblewrap":
        key = "mode" if need.trust == "trusted" else "untrusted"
        raise CannotIsolate(DEMANDED.format(key=key, why=machine.why))
    if mode == "none" or need.agreed:
        return
    if need.trust == "untrusted":
        raise CannotIsolate(UNISOLATED.format(why=machine.why))
    if policy.network == "never":
        raise CannotIsolate(NETWORKED.format(why=machine.why))


def network_of(policy: SandboxConfig, trust: Trust) -> bool:
    """Whether such commands have the machine's network, where they are isolated."""
    match policy.network:
        case "never":
            return False
        case "trusted":
            return trust == "trusted"
        case "always":
            return True


def _demanded(policy: SandboxConfig, need: Need) -> bool:
    match policy.require_limits:
        case "never":
            return False
        case "untrusted":
            return need.trust == "untrusted"
        case "always":
            return True


def _limits(policy: SandboxConfig, machine: Machine) -> Limits:
    bound = machine.controllers
    return Limits(
        memory=None if "memory" in bound else policy.memory,
        processes=None if "pids" in bound or machine.root else policy.processes,
        cpu_seconds=policy.cpu_seconds,
        file_size=policy.disk,
        open_files=policy.open_files,
    )


def least(one: Limits, other: Limits) -> Limits:
    """What goes beyond neither."""
    mine, theirs = attrs.asdict(one), attrs.asdict(other)
    return Limits(
        **{
            name: min(
                (n for n in (mine[name], theirs[name]) if n is not None), default=None
            )
            for name in mine
        }
    )


def _cgroups(policy: SandboxConfig, machine: Machine) -> Iterator[Cgroup]:
    for each in machine.cgroups:
        settings = dict(_settings(policy, each))
        known = {
            name: text
            for name, text in settings.items()
            if not each.files or name in each.files
        }
        yield Cgroup(folder=each.folder, settings=known)


def _settings(policy: SandboxConfig, hierarchy: Hierarchy) -> Iterator[tuple[str, str]]:
    memory, processes = str(policy.memory), str(policy.processes)
    first = hierarchy.version == 1
    if "memory" in hierarchy.controllers and first:
        yield "memory.limit_in_bytes", memory
        # Memory and swap together; after the other one, which may not be more.
        yield "memory.memsw.limit_in_bytes", memory
    elif "memory" in hierarchy.controllers:
        yield "memory.max", memory
        yield "memory.swap.max", "0"
    if "pids" in hierarchy.controllers:
        yield "pids.max", processes
    if "cpu" in hierarchy.controllers:
        yield ("cpu.shares", _SHARES_1) if first else ("cpu.weight", _WEIGHT_2)
