"""What is proved: bytes by chance break nothing, and nobody else feels them."""

import pytest

from tests.fuzz.play import play


@pytest.mark.parametrize("seed", [1, 2])
async def test_bytes_by_chance_break_nothing(seed):
    assert await play(seed, lambda number: number < 60) == 60
