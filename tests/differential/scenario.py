"""What a scenario is: plain data, the same for both sides.

Everything in it is strings, numbers, booleans, tuples and lists. An action is a tuple
whose first part says what to do; `difftest.erl` and `play` give it its meaning. After each
action both sides wait until nothing is left to do; what happened until then is one step
of the trace.
"""

from typing import Any, Literal, TypeAlias

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
        timed: Whether it needs a clock, which in Erlang is real time: ``fine`` when
            tenths of a unit matter, ``coarse`` when only seconds do.
        strict: Whether the order of events of different processes is defined.
    """

    seed: int
    number: int
    family: str
    setup: tuple[Action, ...]
    steps: tuple[Action, ...]
    timed: Literal["", "fine", "coarse"] = ""
    strict: bool = False
