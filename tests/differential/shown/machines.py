"""Items of M: state machines."""

from collections import Counter
from typing import Any

from tests.differential.scenario import Scenario, Trace

KINDS = {"timeout": "event", "state_timeout": "state"}


def read(scenario: Scenario, trace: Trace, counts: Counter[str]) -> None:
    """Count what *trace* shows of state machines."""
    if scenario.family != "machines":
        return
    seen: dict[Any, Any] = {}
    for action, events in zip(("setup", *scenario.steps), trace, strict=False):
        for before, event in zip((None, *events), events, strict=False):
            for item, what in _of(event, seen):
                counts[f"item {item}: {what}"] += 1
            if event[0] == "ended" and event[2] == "bad_return":
                entered = any(e[:2] == ("enter", event[1]) for e in events)
                last = [e for e in events if e[0] in ("ev", "enter")][-1:]
                if entered and last and last[0][0] == "enter":
                    counts["item 95: enter asks for too much"] += 1
            if event[0] == "ended" and before is not None:
                _end(action, event, events, counts)


def _of(event: Any, seen: dict[Any, Any]) -> list[tuple[int, str]]:
    """What one event shows, as items."""
    match event:
        case ("ev", name, _, "message", _):
            return [(96, "messages")]
        case ("ev", name, state, kind, id, module):
            found = [(95, module)]
            if kind == "internal":
                found.append((96, "inserted"))
            if ("visited", name, id) in seen:
                found.append((96, "postponed, and retried"))
                if seen["visited", name, id] != state:
                    found.append((98, "postpone"))
            seen["visited", name, id] = state
            if kind in KINDS:
                found.append((97, KINDS[kind] + " time-out"))
            if isinstance(kind, tuple):
                found.append((97, "named time-out"))
            if seen.setdefault(("module", name), module) != module:
                found.append((98, "other callbacks"))
            seen["module", name] = module
            return found
        case ("enter", name, state, old, _):
            if state != old:
                return [(95, "entered")]
            again = ("entered", name) in seen
            seen["entered", name] = True
            return [(95, "entered again" if again else "entered first")]
        case ("result", int(), ("reply", _)):
            return [(98, "reply")]
        case ("result", int(), (str(), int())):
            return [(93, "state of a machine")]
        case _:
            return []


def _end(action: Any, event: Any, events: list[Any], counts: Counter[str]) -> None:
    _, name, reason = event
    terminated = any(e[:2] == ("term", name) for e in events)
    if terminated and action[0] == "parent":
        counts["item 99: the parent's exit"] += 1
    elif terminated and action[0] == "stop":
        counts["item 99: stopped"] += 1
    elif terminated and reason == ("crash", "ouch"):
        counts["item 99: fails"] += 1
    elif terminated:
        counts["item 99: stops by itself"] += 1
        if any(e[0] == "result" and e[2][:1] == ("reply",) for e in events):
            counts["item 98: stop and reply"] += 1
    elif reason == "killed":
        counts["item 99: not when killed"] += 1
    elif any(e[:2] == ("init", name) for e in events):
        counts["item 28: of a machine"] += 1
