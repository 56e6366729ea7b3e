"""How many examples a property is tried with, where a hundred is not the number."""

from hypothesis import settings


def examples(whole: int) -> int:
    """*whole* with `just test`; with `just check` the share of it that others have."""
    return max(1, whole * settings().max_examples // 100)
