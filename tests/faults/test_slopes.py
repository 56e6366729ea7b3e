"""A leak is told from noise, steps and a warm-up."""

import random

import pytest

from tests.faults.slopes import POINTS, slope, together

AT = [float(second) for second in range(600)]


def noise(seed: int, size: float) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0, size) for _ in AT]


@pytest.mark.parametrize("seed", range(20))
def test_noise_without_a_slope_is_not_above_a_floor_of_its_own_size(seed: int):
    assert not slope(AT, noise(seed, 1.0)).rises(1.0)


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_in_noise_is_found_and_its_size_lies_in_the_interval(seed: int):
    leak = 0.01
    found = slope(AT, [v + leak * t for v, t in zip(noise(seed, 1.0), AT, strict=True)])
    assert found.rises(1.0)
    # Nineteen of twenty intervals hold it; none is far from it.
    assert abs(found.each - leak) < 0.002


def test_what_grows_only_at_first_is_a_warm_up():
    values = [min(t, 100.0) for t in AT]
    assert slope(AT, values).each == 0
    assert not slope(AT, values).rises(0)


def test_one_step_of_a_count_is_within_its_floor():
    values = [10.0 if t < 400 else 11.0 for t in AT]
    assert not slope(AT, values).rises(2.0)


def test_a_wild_value_changes_nothing():
    values = [0.0] * len(AT)
    values[-1] = 1e9
    assert slope(AT, values).growth == 0


def test_what_falls_does_not_rise():
    found = slope(AT, [-t for t in AT])
    assert (found.each, found.rises(0)) == (-1, False)


def test_a_long_series_is_put_together():
    points = together(AT, AT)
    assert len(points) == POINTS
    assert points[0] == (9.5, 9.5)
    assert together([], []) == []


def test_too_few_points_say_nothing():
    with pytest.raises(ValueError, match="too few"):
        slope([0.0, 1.0], [0.0, 1.0])
