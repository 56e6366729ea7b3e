"""What a node does with the memory that it has freed."""

import re
from pathlib import Path

import pytest

from tests.support.node import Node, open_node

pytestmark = pytest.mark.slow

# What glibc sets aside, unread and unwritten, behind what a heap of a thread has.
HEAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ---p 00000000 00:00 0\s*")
LEAST = 32 << 20


def heaps_of_threads(node: Node) -> list[str]:
    lines = Path(f"/proc/{node.pid}/maps").read_text().splitlines()
    found = [(line, HEAP.fullmatch(line)) for line in lines]
    return [
        line for line, at in found if at and int(at[2], 16) - int(at[1], 16) > LEAST
    ]


@pytest.mark.parametrize("given", [{}, {"MALLOC_ARENA_MAX": "64"}])
async def test_all_threads_have_one_heap_unless_a_person_says_otherwise(
    tmp_path: Path, given: dict[str, str]
):
    async with open_node(tmp_path / "data", env=given, anew=True) as node:
        assert (await node.complete("hello")).status == 200
        assert bool(heaps_of_threads(node)) == bool(given)
