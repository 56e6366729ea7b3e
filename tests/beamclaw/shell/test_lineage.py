"""Who is one of the node's own."""

import os
import subprocess
import sys

import attrs
import pytest

from beamclaw.bus import LocalBus
from beamclaw.config import Config
from beamclaw.config.current import Current
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.session_deeds import Person
from beamclaw.shell.lineage import Peer, is_below, parent
from beamclaw.shell.request import Node

# Child to parent: 1 began the node (10) and a person's shell (20).
FAMILY = {10: 1, 11: 10, 12: 11, 13: 12, 20: 1, 21: 20, 30: 0, 40: 41, 41: 40}


@pytest.mark.parametrize(
    ("pid", "below"),
    [
        (11, True),  # the launcher
        (12, True),
        (13, True),
        (21, False),  # a command that a person has typed
        (20, False),
        (10, False),  # the node itself
        (99, True),  # gone before it could be looked at
        (0, False),  # of another container
        (30, False),
        (40, True),  # nonsense
    ],
)
def test_who_was_begun_by_the_node(pid: int, below: bool) -> None:
    assert is_below(pid, 10, FAMILY.get) is below


def test_what_a_command_of_an_agent_does_is_not_told_as_a_persons() -> None:
    node = Node(
        current=Current(Config()),
        bus=LocalBus(),
        outside=Outside(threads=False),
        peer=Peer(pid=7, uid=8),
    )
    assert node.person == Person("terminal", uid=8, pid=7)
    inner = attrs.evolve(node, inner=True)
    assert inner.person == Person("a command of an agent", uid=8, pid=7)


def test_the_system_says_who_began_whom() -> None:
    assert parent(os.getpid()) == os.getppid()
    assert parent(2**22 + 1) is None
    sleeping = [sys.executable, "-c", "input()"]
    with subprocess.Popen(sleeping, stdin=subprocess.PIPE) as child:
        assert is_below(child.pid, os.getpid())
        assert not is_below(os.getpid(), child.pid)
        child.kill()
