"""What occurred in a trace: the items of the checklist, actions, combinations.

Everything here reads what Erlang wrote down, so it counts what was really shown, not
what a generator had in mind.
"""

from collections import Counter

from .scenario import Scenario, Trace


def occurrences(scenario: Scenario, trace: Trace) -> Counter[str]:
    """Count what *trace* shows."""
    return Counter()
