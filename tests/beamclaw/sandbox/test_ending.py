"""How far the end of a command reaches, by what the system has: a table."""

import sys

import attrs
import pytest

from beamclaw.config.schema import SandboxConfig
from beamclaw.contracts.sandbox import Hierarchy, Machine
from beamclaw.sandbox import looking
from beamclaw.sandbox.ending import System, sentence, why_group_only
from beamclaw.sandbox.server import isolation_of

MAC = "this is not Linux"


@pytest.mark.parametrize(
    "lacks, why",
    [
        ((), ""),
        (("linux",), MAC),
        (("proc",), "/proc is not there"),
        (("subreaper",), "this kernel hands orphans to nobody but init"),
        (("pidfd",), "this kernel has no handles of processes"),
        # Nothing else is tried where it is no Linux.
        (("pidfd", "proc", "linux"), MAC),
        (("pidfd", "subreaper"), "this kernel hands orphans to nobody but init"),
    ],
)
def test_what_is_lacking_is_why_only_the_group_is_ended(lacks, why):
    found = why_group_only(System(**dict.fromkeys(lacks, False)))

    assert found.startswith(why)
    assert bool(found) == bool(why)


@pytest.mark.parametrize(
    "why, bubblewrap, begins",
    [
        ("", False, ""),
        ("", True, ""),
        (MAC, False, "of a command, only the process group is ended"),
        ("/proc is not there", True, "of a command that is not isolated, only the"),
    ],
)
def test_what_a_person_is_told(why, bubblewrap, begins):
    words = sentence(why, bubblewrap=bubblewrap)

    assert words.startswith(begins)
    assert words.endswith(why)
    assert bool(words) == bool(why)


FULL = Machine(
    bubblewrap="/usr/bin/bwrap",
    cgroups=(
        Hierarchy(folder="/cg", version=2, controllers=frozenset({"memory", "pids"})),
    ),
)


def test_it_stands_beside_all_else_that_a_machine_cannot_do():
    open_ = SandboxConfig(mode="none", untrusted="none")

    assert isolation_of(SandboxConfig(), FULL).missing == ()
    (only,) = isolation_of(open_, attrs.evolve(FULL, group_only=MAC)).missing
    assert "what leaves that (setsid) goes on" in only


def test_a_mac_is_told_all_of_it(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    missing = isolation_of(SandboxConfig(), looking.look()).missing

    assert [words.partition(",")[0] for words in missing][-1] == "of a command"
    assert sum("Linux" in words for words in missing) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="is about this Linux")
def test_this_machine_has_it_all():
    assert looking.system() == System()
