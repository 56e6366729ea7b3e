"""Which actions had an effect or an answer."""

from collections import Counter
from typing import Any

from tests.differential.scenario import Scenario, Trace


def read(scenario: Scenario, trace: Trace, counts: Counter[str]) -> None:
    """Count the actions of *scenario* that *trace* shows."""
    results = {
        event[1]: event[2] for step in trace for event in step if event[0] == "result"
    }
    for action, events in zip(scenario.steps, trace[1:], strict=False):
        match action:
            case ("cmd", here, commands):
                dids = [
                    event[2]
                    for event in events
                    if event[0] == "did" and event[1] == here
                ]
                for command, did in zip(commands, dids, strict=False):
                    if did != "skip":
                        counts[f"command {word_of(command)}"] += 1
            case ("req", number, _, request):
                if number in results and results[number] != "skip":
                    counts[f"request {word_of(request)}"] += 1
            case ("call" | "stop", number, *_):
                if number in results and results[number] != "skip":
                    counts[f"action {action[0]}"] += 1
            case ("advance", _):
                counts["action advance"] += 1
            case (word, *_) if events:
                counts[f"action {word}"] += 1
            case _:
                pass


def word_of(term: Any) -> str:
    return term if isinstance(term, str) else term[0]
