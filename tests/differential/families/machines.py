"""State machines: order of events, postponing, entering, time-outs, stops, replies."""

import random
from typing import Any

from tests.differential.scenario import Action, Scenario

MODES = ("m_functions", "m_functions_enter", "m_events", "m_events_enter")
STATES = ("a", "b", "c")
TIMEOUTS = ("event", "state", "t", "u")
REASONS: tuple[Any, ...] = ("normal", "shutdown", ("shutdown", "term"), "boom")
DEPTH = 2


class Maker:
    """Makes one scenario about state machines."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.timed = rng.random() < 0.28
        self.known = ["m1", "m2"]
        self.later = [f"m{number}" for number in range(3, 13)]
        self.serial = 0

    def number(self) -> int:
        self.serial += 1
        return self.serial

    def whom(self) -> str:
        return self.rng.choice(self.known[-3:])

    # --- programs

    def script(self, depth: int = 0) -> Any:
        """What an event does at its first visit, and at all later ones."""
        rng = self.rng
        visits = [self.visit(depth, last=False) for _ in range(rng.randint(0, 2))]
        return (self.number(), [*visits, self.visit(depth, last=True)])

    def visit(self, depth: int, *, last: bool) -> Any:
        return (self.effects(), self.result(depth, last=last))

    def effects(self) -> list[Any]:
        rng = self.rng
        chance = rng.random()
        if chance < 0.12:
            return [("set", self.number())]
        if chance < 0.24:
            return ["stash"]
        if chance < 0.36:
            return [("reply_stashed", self.number())]
        if chance < 0.40:
            return [("reply_now", self.number())]
        if chance < 0.46 and self.timed:
            return [("sleep", rng.choice((4, 14)))]
        return []

    def result(self, depth: int, *, last: bool) -> Any:
        rng = self.rng
        actions = self.actions(depth)
        chance = rng.random()
        if chance < 0.33:
            # One that postponed itself and changed the state would do so for ever.
            return ("next", rng.choice(STATES), self.postponed(actions, may=not last))
        if chance < 0.80:
            return ("keep", self.postponed(actions, may=True))
        if chance < 0.91:
            return ("repeat", self.postponed(actions, may=True))
        if chance < 0.955:
            return ("stop_reply", rng.choice(REASONS), self.number())
        if chance < 0.97:
            return ("stop", rng.choice(REASONS))
        if chance < 0.98:
            return "bad"
        return ("die", rng.choice(("crash", "boom", "normal", "kill")))

    def postponed(self, actions: list[Any], *, may: bool) -> list[Any]:
        rng = self.rng
        if may and rng.random() < 0.3:
            actions.insert(rng.randint(0, len(actions)), "postpone")
            if rng.random() < 0.1:
                actions.append(("postpone", False))
        return actions

    def actions(self, depth: int, *, entering: bool = False) -> list[Any]:
        rng = self.rng
        number = rng.choice((0, 0, 1, 1, 2, 3))
        return [self.action(depth, entering=entering) for _ in range(number)]

    def action(self, depth: int, *, entering: bool) -> Any:
        rng = self.rng
        chance = rng.random()
        if entering:
            chance = 0.35 + chance * 0.55 if chance < 0.97 else 0.0
        if chance < 0.22 and depth < DEPTH:
            kind = rng.choice(("internal", "internal", "cast", "info"))
            return ("event", kind, self.script(depth + 1))
        if chance < 0.35:
            return ("reply", self.number())
        if chance < 0.75 and depth < DEPTH:
            times: tuple[Any, ...] = (0, 0, 900, "infinity")
            if self.timed:
                times = (0, 0, 4, 4, 14, 14, 24, "infinity")
            script = self.script(depth + 1)
            return ("set", rng.choice(TIMEOUTS), rng.choice(times), script)
        if chance < 0.82:
            return ("cancel", rng.choice(TIMEOUTS))
        if chance < 0.90 and depth < DEPTH:
            return ("update", rng.choice(TIMEOUTS), self.script(depth + 1))
        if chance < 0.94:
            return ("change", rng.choice(MODES))
        if chance < 0.97:
            return ("push", rng.choice(MODES))
        if chance < 0.98:
            return "pop"
        return ("reply", self.number())

    def enters(self) -> list[Any]:
        rng = self.rng
        return [
            (state, [self.entering(state) for _ in range(rng.randint(0, 4))])
            for state in STATES
        ]

    def entering(self, state: str) -> Any:
        rng = self.rng
        actions = self.actions(1, entering=True)
        chance = rng.random()
        if chance < 0.70:
            return ("keep", actions)
        if chance < 0.84:
            return ("repeat", actions)
        if chance < 0.92:
            return ("next", state, actions)
        if chance < 0.965:
            return ("next", rng.choice(STATES), actions)
        if chance < 0.967:
            return ("stop", rng.choice(REASONS))
        if chance < 0.97:
            return ("keep", ["postpone"])
        if chance < 0.98:
            return ("die", "crash")
        return ("keep", [("postpone", False)])

    # --- actions

    def machine(self, name: str) -> Action:
        rng = self.rng
        first: Any = ("ok", rng.choice(STATES), self.actions(0))
        if name not in {"m1", "m2"}:
            failures: list[Any] = [
                ("ignore",),
                ("stop", rng.choice(REASONS)),
                ("bad",),
                ("die", rng.choice(("crash", "boom"))),
            ]
            if rng.random() < 0.4:
                first = rng.choice(failures)
        term = "crash" if rng.random() < 0.2 else "ok"
        trap = rng.random() < 0.5
        return ("machine", name, rng.choice(MODES), trap, first, term, self.enters())

    def event(self) -> Action:
        rng = self.rng
        chance = rng.random()
        if chance < 0.5:
            return ("cast", self.whom(), self.script())
        if chance < 0.62:
            return ("info", self.whom(), self.script())
        timeout = rng.choice((6, 16, "infinity")) if self.timed else "infinity"
        return ("call", self.number(), self.whom(), self.script(), timeout)

    def burst(self) -> list[Action]:
        """Events that wait in the mailbox together."""
        whom = self.whom()
        inside = [self.event() for _ in range(self.rng.randint(1, 4))]
        if self.timed and self.rng.random() < 0.4:
            inside.insert(self.rng.randint(0, len(inside)), ("advance", 1))
        return [self.request(whom, "suspend"), *inside, self.request(whom, "resume")]

    def request(self, whom: str, request: Any) -> Action:
        return ("req", self.number(), whom, request)

    def step(self) -> list[Action]:
        rng = self.rng
        chance = rng.random()
        if self.timed and chance < 0.3:
            return [("advance", rng.choice((1, 1, 2)))]
        if chance < 0.62:
            return [self.event()]
        if chance < 0.75:
            return self.burst()
        if chance < 0.78:
            return [self.request(self.whom(), "get_state")]
        if chance < 0.81:
            change = ("replace", rng.choice(STATES), self.number())
            return [self.request(self.whom(), change)]
        if chance < 0.89:
            reasons = ("normal", "shutdown", "boom", "kill", "kill", "killed")
            return [("cmd", "x", [("exit", self.whom(), rng.choice(reasons))])]
        if chance < 0.93:
            return [("parent", self.whom(), rng.choice((*REASONS, "kill")))]
        if chance < 0.975 and self.later:
            name = self.later.pop(0)
            self.known.append(name)
            return [self.machine(name)]
        return [("stop", self.number(), self.whom(), rng.choice(REASONS), "infinity")]


def generate(rng: random.Random, seed: int, number: int) -> Scenario:
    """Make a scenario about state machines."""
    maker = Maker(rng)
    setup = ("home", ("plain", "x"), *(maker.machine(name) for name in maker.known))
    steps: list[Action] = []
    for _ in range(rng.randint(9, 12) if maker.timed else rng.randint(34, 54)):
        steps += maker.step()
    return Scenario(
        seed,
        number,
        "machines",
        setup,
        tuple(steps),
        timed="fine" if maker.timed else "",
    )
