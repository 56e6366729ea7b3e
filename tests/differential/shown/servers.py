"""Items D and J to L, as servers show them: starts, calls, replies, time-outs, `sys`."""

from collections import Counter
from typing import Any

from tests.differential.scenario import Scenario, Trace


class Reader:
    """Goes through a trace of servers."""

    def __init__(self, counts: Counter[str], trace: Trace) -> None:
        self.counts = counts
        self.servers: dict[str, Any] = {}
        self.dead: set[str] = set()
        self.suspended: set[str] = set()
        # The program of each call that is not answered, by number.
        self.open: dict[int, tuple[int, Any]] = {}
        self.failed_names: set[str] = set()
        self.run = {e[3] for step in trace for e in step if e[0] == "cb"}

    def item(self, number: int, what: str = "") -> None:
        self.counts[f"item {number}{': ' if what else ''}{what}"] += 1

    def start(self, action: Any, events: list[Any]) -> None:
        _, name, registered, trap, first, term = action
        self.servers[name] = (trap, term)
        result = next((e[2] for e in events if e[:2] == ("result", name)), None)
        if any(event[:2] == ("init", name) for event in events):
            self.item(28, first[0])
            if result == ("ok", name):
                self.item(27)
                if registered in self.failed_names:
                    self.item(29)
            elif registered != "none":
                self.failed_names.add(registered)
        elif result is not None:
            self.item(88, "already started")
        if result != ("ok", name):
            self.dead.add(name)

    def step(self, number: int, action: Any, events: list[Any]) -> None:
        match action:
            case ("server", *_):
                self.start(action, events)
            case ("call", label, _, todo, _):
                self.open[label] = (number, todo)
            case _:
                pass
        ended = {event[1]: event[2] for event in events if event[0] == "ended"}
        terms = {event[1]: event[2] for event in events if event[0] == "term"}
        self.ends(action, ended, terms, events)
        for event in events:
            match event:
                case ("result", int() as label, result):
                    self.result(number, label, result, ended)
                case ("nested", _, result):
                    self.failure(result)
                case ("cb", _, "timeout", _):
                    self.item(82, "time-out")
                case ("cb", _, "continue", _):
                    self.item(82, "continue")
                case ("cb", _, "message", ("exit", *_)):
                    self.item(75, "another's exit is a message")
                case ("did", "p2", result):
                    self.response(action, result)
                case _:
                    pass
        self.look(action, events)
        self.dead |= ended.keys()
        match action:
            case ("cast", str() as whom, _) if whom in self.dead and not events:
                self.item(81)
            case _:
                pass

    def ends(
        self,
        action: Any,
        ended: dict[str, Any],
        terms: dict[str, Any],
        events: list[Any],
    ) -> None:
        for name, reason in ended.items():
            if name not in self.servers:
                continue
            trap, _ = self.servers[name]
            if name in terms:
                self.item(76, "terminate runs")
                if reason == ("crash", "ouch"):
                    self.item(76, "and fails")
                if reason == "bad_return":
                    self.item(83)
            elif reason == "killed":
                self.item(76, "not when killed")
            elif ("init", name) not in [event[:2] for event in events]:
                self.item(76, "not when it does not trap")
            if action[0] == "parent" and action[1] == name:
                if name in terms and trap:
                    self.item(75, "the parent's exit, trapping")
                    if name in self.suspended:
                        self.item(93, "suspended, and the parent's exit")
                elif not trap:
                    self.item(75, "the parent's exit, not trapping")

    def result(self, number: int, label: int, result: Any, ended: Any) -> None:
        if label not in self.open:
            return
        begun, (id, effects, after) = self.open.pop(label)
        if number > begun and result[0] == "reply":
            self.item(84, "later")
        match result, after:
            case ("reply", value), _ if ("reply_now", value) in effects:
                self.item(84, "twice" if after[0] == "reply" else "at once")
            case ("reply", value), ("stop", _, other) if value == other:
                failed = ("crash", "ouch") in ended.values()
                self.item(80, "though terminate fails" if failed else "stops")
            case ("reply", str()), _:
                self.item(84, "by another")
            case _:
                self.failure(result)
        late = result == ("exit", "timeout") and id in self.run
        if late and after[0] == "reply":
            self.item(20)
            self.item(78)

    def failure(self, result: Any) -> None:
        match result:
            case ("reply", _):
                self.item(77, "reply")
            case ("exit", "normal"):
                self.item(79)
            case ("exit", ("noproc" | "timeout" | "calling_self") as word):
                self.item(77, word)
            case ("exit", _):
                self.item(77, "the server's reason")
            case _:
                pass

    def response(self, action: Any, result: Any) -> None:
        if action[0] != "cmd" or action[1] != "p2":
            return
        match action[2][0], result:
            case ("receive_response", *_), ("reply", _):
                self.item(86, "one")
            case ("receive_response", *_), ("exit", "timeout"):
                self.item(86, "one is late")
            case ("receive_any", _), (_, (kind, _)):
                self.item(86, "one of many: " + ("reply" if kind == "reply" else "end"))
            case ("receive_any", _), ("timeout" | "no_request") as word:
                self.item(86, word.replace("_", " "))
            case _:
                pass

    def look(self, action: Any, events: list[Any]) -> None:
        match action:
            case ("req", label, whom, request):
                result = next(
                    (e[2] for e in events if e[:2] == ("result", label)), None
                )
                self.request(whom, request, result)
                if request == "resume" and any(e[0] == "cb" for e in events):
                    self.item(93, "suspended, others wait")
            case ("stop", label, *_):
                for event in events:
                    if event[:2] == ("result", label):
                        self.item(
                            85, event[2] if event[2] == "ok" else "no such process"
                        )
            case _:
                pass

    def request(self, whom: str, request: Any, result: Any) -> None:
        match request, result:
            case "suspend", "ok":
                self.suspended.add(whom)
            case "resume", "ok":
                self.suspended.discard(whom)
            case "get_state", int():
                self.item(93, "get_state")
            case ("replace", _, _), int():
                self.item(93, "replace_state")
            case ("replace", _, _), ("exit", "callback_failed"):
                self.item(93, "replace_state fails")
            case ("statistics", "get"), ("counted", int(), int()):
                self.item(93, "statistics")
            case _:
                pass


def read(scenario: Scenario, trace: Trace, counts: Counter[str]) -> None:
    """Count what *trace* shows of servers."""
    if scenario.family != "servers":
        return
    reader = Reader(counts, trace)
    first = [("server", *part[1:]) for part in scenario.setup if part[0] == "server"]
    for action in first:
        reader.start(action, trace[0])
    for number, (action, events) in enumerate(
        zip(("setup", *scenario.steps), trace, strict=False)
    ):
        reader.step(number, action, events)
