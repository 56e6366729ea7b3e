"""What a scenario is: plain data, the same for both sides.

Everything in it is strings, numbers, booleans, tuples and lists. An action is a tuple
whose first part says what to do; `difftest.erl` and `play` give it its meaning. After each
action both sides wait until nothing is left to do; what happened until then is one step
of the trace.
"""

from typing import Any, TypeAlias

import attrs

Action: TypeAlias = tuple[Any, ...] | str
Trace: TypeAlias = list[list[Any]]


@attrs.frozen
class Scenario:
    """One scenario.

    Attributes:
        seed: Together with *number* and *family*, where it comes from.
        number: Its number under the seed.
        family: What it is about.
        setup: What is there at the beginning.
        steps: The actions.
        timed: Whether it needs a clock: in Erlang that is real time.
        strict: Whether the order of events of different processes is defined.
    """

    seed: int
    number: int
    family: str
    setup: tuple[Action, ...]
    steps: tuple[Action, ...]
    timed: bool = False
    strict: bool = False
