"""What a trace shows: the items of the checklist, actions, combinations.

Everything here reads what Erlang wrote down, so it counts what really happened, not what
a generator had in mind: a call that found nobody counts as one that found nobody, and a
restart as a restart when the child was there again.
"""

from collections import Counter

from tests.differential.scenario import Scenario, Trace

from . import actions, machines, processes, servers, supervisors


def shown(scenario: Scenario, trace: Trace) -> Counter[str]:
    """Count what *trace*, which Erlang wrote, shows."""
    counts: Counter[str] = Counter()
    for reader in (actions, processes, supervisors, servers, machines):
        reader.read(scenario, trace, counts)
    return counts
