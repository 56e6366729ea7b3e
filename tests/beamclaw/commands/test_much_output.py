"""However much is said: of each command only the end is kept, and it waits for us."""

import resource

import pytest

from beamclaw.commands.ring import Gathered, Ring, readable
from tests.beamclaw.commands.conftest import shell
from tests.beamclaw.commands.test_run import ran

MB = 1_000_000


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.slow
async def test_what_a_command_says_costs_no_memory(tenant):
    most = 200 * MB
    await ran(tenant, shell("echo warm"), id="warm")
    before = peak()
    found = await ran(
        tenant, shell(f"yes | head -c {most}"), id="much", seconds=60.0, most=None
    )

    assert found.ended.code == 0
    assert peak() - before < most / 10


def test_a_ring_keeps_the_end_and_counts_the_rest():
    ring = Ring(10)
    for piece in (b"0123456789", b"abc", b"", b"de"):
        assert ring.put(piece)

    assert (ring.text(), ring.total, ring.lost) == ("56789abcde", 15, 5)
    assert ring.text(12) == "cde"
    assert ring.text(2) == "56789abcde"
    assert ring.text(15) == ""
    assert (ring.tail(3), ring.tail(100), ring.tail(0)) == ("cde", "56789abcde", "")


def test_a_ring_of_many_small_pieces_is_small():
    ring = Ring(20_000)
    for _ in range(50_000):
        ring.put(b"x")

    assert ring.text() == "x" * 20_000
    assert len(ring._pieces) < 10


def test_a_character_may_come_in_two_pieces():
    ring = Ring(10)
    ring.put("ü".encode()[:1])
    assert (ring.text(), ring.total) == ("", 0)
    ring.put("ü".encode()[1:])
    ring.put(b"\xff\xe2\x82")
    ring.finish()

    assert ring.text() == "ü\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"


def test_bytes_are_gathered_up_to_a_limit():
    gathered = Gathered(5)

    assert gathered.put(b"123")
    assert gathered.put(b"45")
    assert not gathered.put(b"6")
    assert not gathered.put(b"789")
    assert gathered.whole() == b"12345"


@pytest.mark.parametrize(
    "said, shown",
    [
        ("a\r\nb", "a\nb"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("bell\x07 null\x00 back\x08", "bell null back"),
        ("tab\tstays", "tab\tstays"),
        ("\x1b(Bx\x1b=y\x1b", "xy"),
    ],
)
def test_what_is_only_for_a_terminal_is_not_shown(said, shown):
    assert readable(said) == shown
