"""Brings two traces into one form and says where they first differ.

What Erlang leaves undefined is sorted here, and nothing else: the order of events of
different processes (in scenarios that are not strict), and the order in which several
clients get their results.
"""

from typing import Any

import attrs

from .scenario import Scenario, Trace

WORLD = ("init", "term", "ended", "cb", "nested")


def canonical(scenario: Scenario, trace: Trace) -> Trace:
    """Sort what has no order."""
    return [_canonical_step(scenario, step) for step in trace]


def _canonical_step(scenario: Scenario, step: list[Any]) -> list[Any]:
    world = [event for event in step if event[0] in WORLD]
    if not scenario.strict:
        world.sort(key=lambda event: event[1])
    ended = {event[1] for event in step if event[0] == "ended"}
    rest = [
        _sorted_inside(scenario, event)
        for event in step
        if event[0] not in WORLD and not _raced(event, ended)
    ]
    # Sorting is stable: the events of one kind and process keep their order.
    rest.sort(key=lambda event: (event[0], str(event[1])))
    return world + rest


def _raced(event: Any, ended: set[str]) -> bool:
    """Say whether it is a message that was received in the moment of the death.

    A message or a reply and after it an exit signal, both sent before the receiver runs:
    whether it still takes the message depends, in Erlang, on when it is scheduled.
    """
    match event:
        case ("did", name, ("tag" | "exit" | "down" | "reply", *_)):
            return name in ended
        case _:
            return False


def _sorted_inside(scenario: Scenario, event: Any) -> Any:
    match event:
        case ("state", name, (trap, links, named, tags, others)):
            others = sorted(others, key=repr)
            return ("state", name, (trap, links, named, tags, others))
        case ("did", name, (list() as tags, list() as others)):
            return ("did", name, (tags, sorted(others, key=repr)))
        case ("did", name, (str() as label, ("exit", reason))):
            # Of several requests to one server that has ended any may come first.
            return ("did", name, (label.partition("_")[0], ("exit", reason)))
        case ("result", number, [("none", *_), *_] as children) if (
            scenario.family == "dynamic"
        ):
            return ("result", number, sorted(children, key=repr))
        case ("result", number, (_, active, supervisors, workers)) if (
            scenario.family == "dynamic"
        ):
            # How many specs there are: one in OTP, the template; one per child here.
            return ("result", number, (active, supervisors, workers))
        case _:
            return event


@attrs.frozen
class Difference:
    """Where two traces part.

    Attributes:
        step: The number of the step; 0 is the setup.
        erlang: What Erlang did in it.
        ours: What `supervision` did in it.
    """

    step: int
    erlang: Any
    ours: Any

    def __str__(self) -> str:
        lines = [f"  at step {self.step}"]
        for who, events in (("erlang", self.erlang), ("supervision", self.ours)):
            lines.append(f"    {who}:")
            said = events if isinstance(events, list) else [events]
            lines += [f"      {event}" for event in said] or ["      nothing"]
        return "\n".join(lines)


def compare(
    scenario: Scenario, erlang: Trace | str, ours: Trace | str
) -> Difference | None:
    """Say where the two traces first differ."""
    if isinstance(erlang, str) or isinstance(ours, str):
        return None if uncompared(erlang, ours) else Difference(-1, erlang, ours)
    theirs, mine = canonical(scenario, erlang), canonical(scenario, ours)
    for step, (one, other) in enumerate(zip(theirs, mine, strict=True)):
        if quirks(one):
            return None
        if one != other:
            return Difference(step, one, other)
    return None


def uncompared(erlang: Trace | str, ours: Trace | str) -> str:
    """Say why there is nothing to compare, in a word, if that is so."""
    if "late" in (erlang, ours):
        return "untimed"
    restless = erlang == "never_rests" and str(ours).startswith("NeverRests")
    return "restless" if restless else ""


def quirks(step: list[Any]) -> list[str]:
    """What OTP did in a step that it should not have done: there the comparison ends."""
    return [event[1] for event in step if event[0] == "quirk"]
