"""Which children one death concerns. Pure: sequences in, sequences out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypeVar

from ._child_spec import AutoShutdown

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
C = TypeVar("C")


def concerned(strategy: Strategy, children: Sequence[C], failed: C) -> list[C]:
    """Return the children to restart when *failed* is, in start order.

    They are started in this order, after those that run were terminated in the reverse.
    """
    match strategy:
        case "one_for_one":
            return [failed]
        case "one_for_all":
            return list(children)
        case "rest_for_one":
            return list(children[children.index(failed) :])


def ends_supervisor(
    auto_shutdown: AutoShutdown,
    *,
    significant: bool,
    significant_left: bool,
) -> bool:
    """Say whether a child that ended for good by itself takes its supervisor along.

    Args:
        auto_shutdown: The supervisor's option.
        significant: Whether the child is significant.
        significant_left: Whether another significant child is active.
    """
    match auto_shutdown:
        case "never":
            return False
        case "any_significant":
            return significant
        case "all_significant":
            return significant and not significant_left
