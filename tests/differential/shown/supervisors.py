"""Items E to I: supervisors, and which strategy met which kind of child and reason."""

from collections import Counter
from typing import Any

import attrs

from tests.differential.scenario import Scenario, Trace


@attrs.frozen
class Child:
    """What is known of a child.

    Attributes:
        sup: The id of its supervisor.
    """

    sup: str
    restart: str
    grace: Any
    significant: bool
    what: Any


def kind_of(reason: Any) -> str:
    """The kind of an exit reason."""
    if isinstance(reason, tuple):
        return "shutdown with a term" if reason[0] == "shutdown" else reason[0]
    return reason


class Reader:
    """Goes through a trace of a tree."""

    def __init__(self, scenario: Scenario, counts: Counter[str]) -> None:
        self.counts = counts
        self.dynamic = scenario.family == "dynamic"
        self.children: dict[str, Child] = {}
        self.strategies: dict[str, str] = {}
        self.limits: dict[str, int] = {}
        self.autos: dict[str, str] = {}
        self.template: Any = None
        # The incarnation that runs, by id.
        self.running: dict[str, str] = {}
        self.suspended: set[str] = set()
        # Deaths that a suspended supervisor has not handled.
        self.unhandled: list[str] = []
        # The last death of a child by itself that was not followed by a restart.
        self.resting: dict[str, Any] = {}
        # Requests without an answer: number, and the step in which they were made.
        self.open: dict[int, Any] = {}
        self.deaths = 0
        self.paused_after = 0
        self.failed_name: set[str] = set()

    def item(self, number: int, what: str = "") -> None:
        self.counts[f"item {number}{': ' if what else ''}{what}"] += 1

    # --- what there is

    def know(self, sup: str, spec: Any) -> None:
        id, restart, grace, significant, what = spec
        if restart == "default":
            restart = "permanent"
        self.children[id] = Child(sup, restart, grace, significant, what)
        if what[0] in ("sup", "windowed"):
            self.tree(id, what)

    def tree(self, id: str, what: Any) -> None:
        auto = "never"
        match what:
            case ("sup", strategy, intensity, auto, children):
                pass
            case ("windowed", strategy, intensity, children):
                pass
            case (strategy, intensity, *template):
                children: list[Any] = []
                self.template = template
            case _:
                raise ValueError(what)
        self.autos[id] = auto
        self.strategies[id] = strategy
        self.limits[id] = intensity
        for child in children:
            self.know(id, child)

    def set_up(self, action: Any, events: list[Any]) -> None:
        _, id, what = action
        self.tree(id, what)
        self.started_sup(id, what, events, next(iter(self.results(events)), None))
        self.follow(events)

    def results(self, events: list[Any]) -> list[Any]:
        return [event[2] for event in events if event[0] == "result"]

    def follow(self, events: list[Any]) -> None:
        for event in events:
            match event:
                case ("init", name, "ok" | "sup"):
                    self.running[name.partition("#")[0]] = name
                    self.resting.pop(name.partition("#")[0], None)
                case ("ended", name, _):
                    id = name.partition("#")[0]
                    if self.running.get(id) == name:
                        del self.running[id]
                case _:
                    pass

    # --- steps

    def step(self, action: Any, events: list[Any]) -> None:
        inits = [e for e in events if e[0] == "init"]
        ended = {e[1]: e[2] for e in events if e[0] == "ended"}
        victim = self.victim(action)
        mine = self.running.get(victim or "")
        if victim is not None and mine in ended and victim in self.children:
            self.died(victim, ended[mine], events)
        match action:
            case ("req", number, sup, request):
                self.open[number] = (sup, request, dict(self.running))
                if request == "resume":
                    self.resumed(sup, events, inits)
            case ("parent", _, reason):
                self.ordered(reason, events, ended)
            case ("cmd", "x", [("exit", sup, reason)]) if sup in self.strategies:
                self.struck(sup, reason, ended)
            case ("tell", sup, _) if sup in self.strategies and sup in self.running:
                if not ended:
                    self.item(40, "message")
            case ("advance", units):
                self.paused_after = self.deaths if units > 20 else 0
            case _:
                pass
        self.brutally(events, ended)
        for event in events:
            if event[0] == "result" and event[1] in self.open:
                sup, request, running = self.open.pop(event[1])
                self.answer(sup, request, running, event[2], events)
        self.waiting(action, events)
        self.follow(events)

    def victim(self, action: Any) -> str | None:
        match action:
            case ("tell", id, _) | ("cmd", "x", [("exit", id, _)]):
                return id
            case _:
                return None

    def waiting(self, action: Any, events: list[Any]) -> None:
        """A supervisor that waits for a child that hangs serves nobody."""
        if action[0] != "req" or action[1] not in self.open:
            return
        if action[2] not in self.suspended and action[2] in self.running:
            self.item(58)

    # --- a child died by itself

    def died(self, id: str, reason: Any, events: list[Any]) -> None:
        child = self.children[id]
        sup, strategy = child.sup, self.strategies[child.sup]
        if sup not in self.running:
            return
        if sup in self.suspended:
            self.unhandled.append(id)
            return
        self.deaths += 1
        self.counts[f"{strategy} {child.restart} {kind_of(reason)}"] += 1
        again = [e for e in events if e[0] == "init" and e[1].startswith(id + "#")]
        over = any(e[0] == "ended" and e[1] == self.running[sup] for e in events)
        if over:
            self.gave_up(child, events)
        elif again:
            self.restarted(id, child, events, again)
        else:
            self.resting[id] = reason
            if child.restart != "permanent":
                self.item(41, f"{child.restart} not restarted")
            if child.significant:
                others = [
                    other
                    for other, one in self.children.items()
                    if one.sup == sup and one.significant and other != id
                ]
                if self.autos[sup] == "all_significant" and any(
                    other in self.running for other in others
                ):
                    self.item(63, "others are left")

    def gave_up(self, child: Child, events: list[Any]) -> None:
        reason = next(e[2] for e in events if e[1:2] == (self.running[child.sup],))
        if reason != "shutdown":
            return
        auto = self.autos[child.sup]
        orderly = child.restart == "temporary" or self.limits[child.sup] > 10
        if child.significant and auto != "never":
            self.item(62 if auto == "any_significant" else 63, "ended")
        elif not orderly:
            self.item(43)
            if self.paused_after:
                self.item(44, "inside the window")
        if child.sup in self.children:
            above = self.children[child.sup]
            again = [e for e in events if e[0] == "init"]
            came = any(e[1].startswith(child.sup + "#") for e in again)
            if came or above.restart != "permanent":
                self.item(65, "restarted" if came else f"{above.restart} not restarted")

    def restarted(
        self, id: str, child: Child, events: list[Any], again: list[Any]
    ) -> None:
        self.item(41, f"{child.restart} restarted")
        sup, strategy = child.sup, self.strategies[child.sup]
        if child.significant and child.restart == "transient":
            self.item(64, "restarted")
        if self.paused_after and self.deaths > self.limits[sup]:
            self.item(44, "outside the window")
        inits = [e for e in events if e[0] == "init"]
        ids = [e[1].partition("#")[0] for e in inits]
        failed = [e for e in again if e[2] not in ("ok", "ignore", "sup")]
        if child.what[0] == "named":
            self.item(89, "restarted with its name")
            if failed and len(again) > len(failed):
                self.item(29)
        if again[0][2] == "ignore":
            self.item(52)
        siblings = [
            other
            for other, one in self.children.items()
            if one.sup == sup and other != id
        ]
        if strategy in ("one_for_one", "dynamic"):
            if failed and len(again) > 1:
                self.item(49)
            if any(other in self.running for other in siblings) and set(ids) == {id}:
                self.item(46)
            return
        terms = [
            e[1]
            for e in events
            if e[0] == "ended" and e[1].partition("#")[0] in siblings
        ]
        if len(set(ids)) > 1:
            self.item(45)
        if len(terms) > 1:
            self.item(47, strategy)
        first = inits[0]
        for at, event in enumerate(inits[:-1]):
            if event[2] not in ("ok", "ignore", "sup") and at > 0 and first != event:
                self.item(50)
                break
        for other in siblings:
            self.sibling(other, [e.partition("#")[0] for e in terms], ids)

    def sibling(self, other: str, terms: list[str], ids: list[str]) -> None:
        one = self.children[other]
        if other in terms and one.restart == "temporary" and other not in ids:
            self.item(48, "temporary dropped")
        elif other in terms and one.restart == "transient" and other in ids:
            self.item(48, "transient restarted")
        elif other not in self.running and other in ids and other not in terms:
            self.item(48, "not running, started too")

    # --- bursts

    def resumed(self, sup: str, events: list[Any], inits: list[Any]) -> None:
        self.suspended.discard(sup)
        dead, self.unhandled = self.unhandled, []
        alive = sup in self.running and not any(
            e[:2] == ("ended", self.running[sup]) for e in events
        )
        for id in dead if alive and len(dead) == 1 else ():
            again = [e for e in inits if e[1].startswith(id + "#")]
            if again and id in self.children:
                self.restarted(id, self.children[id], events, again)
        if len(dead) > 1:
            self.item(54, "one by one")
            if self.strategies.get(sup) in ("one_for_all", "rest_for_one") and inits:
                self.item(54, "the second is cycled already")

    # --- orders

    def ordered(self, reason: Any, events: list[Any], ended: dict[str, Any]) -> None:
        sup = "dyn" if self.dynamic else "s"
        if ended.get(self.running.get(sup, "")) == reason:
            self.item(61, "told")
            self.together(len(ended) - 1)

    def together(self, number: int) -> None:
        if number > 1:
            self.item(60 if self.dynamic else 57)

    def struck(self, sup: str, reason: Any, ended: dict[str, Any]) -> None:
        mine = self.running.get(sup)
        if mine is None:
            return
        if reason == "kill" and ended.get(mine) == "killed":
            if any(
                end == "killed" and self.children[name.partition("#")[0]].sup == sup
                for name, end in ended.items()
                if name.partition("#")[0] in self.children
            ):
                self.item(61, "killed")
        elif mine not in ended:
            self.item(40, "exit")

    def brutally(self, events: list[Any], ended: dict[str, Any]) -> None:
        """How children ended that their supervisor terminated."""
        if any(e[:2] == ("did", "x") for e in events):
            return  # somebody else did it
        terms = {e[1] for e in events if e[0] == "term"}
        for name, reason in ended.items():
            id = name.partition("#")[0]
            child = self.children.get(id)
            if child is None or child.what[0] not in ("worker", "named"):
                continue
            *_, trap, term = child.what
            if reason == "killed" and child.grace == "brutal_kill":
                if name not in terms:
                    self.item(56, "brutal_kill")
            elif reason == "shutdown" and trap and name in terms:
                word = "no limit" if child.grace == "infinity" else "in time"
                self.item(56, word)
            elif reason == "killed" and term == "hang" and name not in terms:
                self.item(56, "not in time")

    # --- requests

    def answer(
        self,
        sup: str,
        request: Any,
        running: dict[str, str],
        result: Any,
        events: list[Any],
    ) -> None:
        match request:
            case _ if result == "skip":
                pass
            case "suspend" if result == "ok":
                self.suspended.add(sup)
                self.item(93, "suspended supervisor")
            case ("start", spec):
                self.started(sup, spec, result, events)
            case ("start_dynamic", id, _):
                self.started_dynamic(sup, id, result)
            case ("terminate", id):
                self.terminated(id, running, result, events)
            case ("restart", id):
                self.asked_to_restart(id, result)
            case ("delete", id):
                self.item(69, _word(result))
            case ("terminate_pid", _) if _word(result) != "failed":
                self.item(71, "terminate: " + _word(result))
            case "which" if isinstance(result, list):
                self.item(70, "which_children")
                if any(pid == "restarting" for _, pid, _ in result):
                    self.item(70, "restarting")
            case "count" if len(result) == 4:
                self.item(70, "count_children")
            case ("spec", _):
                self.item(72, "found" if result[0] == "ok" else "not found")
                if result[0] == "ok" and result[3] == "default":
                    self.item(34, "defaults")
            case ("stop", _) if result == "ok":
                self.together(sum(e[0] == "ended" for e in events) - 1)
            case ("change", _, what):
                self.item(74, "refused" if result != "ok" else "taken over")
                if result == "ok":
                    self.tree(sup, what)
            case _:
                pass

    def started(self, sup: str, spec: Any, result: Any, events: list[Any]) -> None:
        id, _, _, significant, what = spec
        match result:
            case ("ok", "undefined"):
                self.item(66, "ignored")
            case ("ok", _):
                self.item(66, "started")
                self.item(27)
            case ("error", ("already_started", _)):
                self.item(66, "already started")
            case ("error", "already_present"):
                self.item(66, "already present")
            case ("error", "bad_spec"):
                refused = what[0] == "worker" and significant
                self.item(35 if refused else 66, "refused")
            case ("error", _):
                self.item(66, "failed")
            case _:
                return
        if result[0] == "ok":
            self.know(sup, spec)
        if what[0] == "sup":
            self.started_sup(id, what, events, result)

    def started_sup(self, id: str, what: Any, events: list[Any], result: Any) -> None:
        if what[0] == "dynamic":
            return
        children = what[-1]
        inits = [e for e in events if e[0] == "init" and e[2] != "sup"]
        match result:
            case ("ok", _):
                names = [e[1].partition("#")[0] for e in inits]
                if len(names) > 1 and names == [child[0] for child in children]:
                    self.item(36)
                if any(e[2] == "ignore" for e in inits):
                    self.item(37)
            case ("error", "bad_spec"):
                ids = [child[0] for child in children]
                if what[2] < 0:
                    self.item(33)
                elif len(set(ids)) < len(ids):
                    self.item(34, "twice the same id")
                else:
                    self.item(35, "in a list")
            case ("error", ("shutdown", ("failed", *_))):
                self.item(38)
            case _:
                pass

    def started_dynamic(self, sup: str, id: str, result: Any) -> None:
        restart, grace, trap, term = self.template
        match result:
            case ("ok", "undefined"):
                self.item(71, "ignored")
            case ("ok", _):
                self.item(71, "started")
                what = ("worker", [], trap, term)
                self.children[id] = Child(sup, restart, grace, False, what)
            case ("error", _):
                self.item(71, "failed")
            case _:
                pass

    def terminated(
        self, id: str, running: dict[str, str], result: Any, events: list[Any]
    ) -> None:
        if result != "ok":
            self.item(67, "not found")
            return
        child = self.children.get(id)
        name = running.get(id)
        starts = [e for e in events if e[0] == "init" and e[1].startswith(id + "#")]
        if name is not None and any(e[:2] == ("ended", name) for e in events):
            self.item(67, "running")
            self.item(55)
            if child is not None and child.significant:
                self.item(64, "terminate_child")
        elif starts and starts[-1][2] not in ("ok", "ignore"):
            self.item(51)
        else:
            self.item(67, "not running")

    def asked_to_restart(self, id: str, result: Any) -> None:
        self.item(68, _word(result))
        child = self.children.get(id)
        if child is None or id not in self.resting:
            return
        if child.restart == "temporary" and result == ("error", "not_found"):
            self.item(42, "temporary is forgotten")
        if child.restart == "transient" and result[0] == "ok":
            self.item(42, "transient is kept")


def _word(result: Any) -> str:
    if result == "ok" or result[0] == "ok":
        return "ok"
    word = result[1]
    known = ("running", "restarting", "not_found")
    return word.replace("_", " ") if word in known else "failed"


def read(scenario: Scenario, trace: Trace, counts: Counter[str]) -> None:
    """Count what *trace* shows of supervisors."""
    if scenario.family not in ("supervisors", "dynamic"):
        return
    reader = Reader(scenario, counts)
    reader.set_up(scenario.setup[-1], trace[0])
    for action, events in zip(scenario.steps, trace[1:], strict=False):
        reader.step(action, events)
