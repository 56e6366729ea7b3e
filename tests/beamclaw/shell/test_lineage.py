"""Who is one of the node's own."""

import os
import subprocess
import sys

import pytest

from beamclaw.shell.lineage import is_below, parent

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


def test_the_system_says_who_began_whom() -> None:
    assert parent(os.getpid()) == os.getppid()
    assert parent(2**22 + 1) is None
    sleeping = [sys.executable, "-c", "input()"]
    with subprocess.Popen(sleeping, stdin=subprocess.PIPE) as child:
        assert is_below(child.pid, os.getpid())
        assert not is_below(os.getpid(), child.pid)
        child.kill()
