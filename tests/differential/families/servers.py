"""Servers: calls, casts, deferred and double replies, time-outs, stops, suspensions."""

import random
from typing import Any

from tests.differential.scenario import Action, Scenario

FIRST = ("v1", "v2", "v3")
LATER = ("v4", "v5", "v6", "v7")
CALLER = "p1"
ASKER = "p2"
REASONS: tuple[Any, ...] = ("normal", "shutdown", ("shutdown", "term"), "boom")


def single(program: Any) -> Any:
    """Have a program reply once.

    A second reply that is sent before the caller has seen the first stays in the mailbox
    of an OTP process; ours drops it. Callers that end with their call show no difference.
    """
    number, effects, result = program
    if result[0] != "noreply" or "stash" in effects:
        effects = [effect for effect in effects if effect[0] != "reply_now"]
    return number, effects, result


class Maker:
    """Makes one scenario about servers."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.timed = rng.random() < 0.33
        self.known = [*FIRST]
        self.later = [*LATER]
        self.serial = 0
        self.labels = 0
        self.fresh_ones = 0
        self.asked: list[str] = []

    def whom(self) -> str:
        return self.rng.choice(self.known[-4:])

    def number(self) -> int:
        self.serial += 1
        return self.serial

    # --- programs

    def program(self, depth: int = 0) -> Any:
        return (self.number(), self.effects(depth), self.result(depth))

    def effects(self, depth: int) -> list[Any]:
        rng = self.rng
        effects: list[Any] = []
        if rng.random() < 0.15:
            effects.append(("set", self.number()))
        if rng.random() < 0.25:
            effects.append(("reply_stashed", self.number()))
        chance = rng.random()
        if chance < 0.12:
            effects.append(("reply_now", self.number()))
        elif chance < 0.2 and depth == 0:
            called = single(self.program(2))
            effects.append(("call", self.whom(), called, self.timeout()))
        elif chance < 0.28 and self.timed:
            effects.append(("sleep", rng.choice((4, 14))))
        return effects

    def result(self, depth: int) -> Any:
        rng = self.rng
        chance = rng.random()
        if chance < 0.6 or depth == 2:
            return ("reply", self.number(), self.then(depth))
        if chance < 0.86:
            return ("noreply", self.then(depth))
        if chance < 0.92:
            reason = rng.choice(REASONS)
            return ("stop", reason, self.number())
        if chance < 0.95:
            return ("stop", rng.choice(REASONS))
        if chance < 0.97:
            return "bad"
        return ("die", rng.choice(("crash", "boom", "normal", "kill")))

    def then(self, depth: int) -> Any:
        rng = self.rng
        chance = rng.random()
        if chance < 0.12:
            return ("timeout", 0)
        if chance < 0.22:
            return ("timeout", rng.choice((4, 14)) if self.timed else 900)
        if chance < 0.32 and depth == 0:
            return ("continue", self.program(1))
        return "none"

    def timeout(self) -> Any:
        return self.rng.choice((6, 16, "infinity")) if self.timed else "infinity"

    # --- actions

    def server(self, name: str) -> Action:
        rng = self.rng
        chance = rng.random()
        first: Any = ("ok", self.then(0))
        if name in LATER:
            if chance < 0.12:
                first = ("ignore",)
            elif chance < 0.24:
                first = ("stop", rng.choice(REASONS))
            elif chance < 0.34:
                first = ("bad",)
            elif chance < 0.46:
                first = ("die", rng.choice(("crash", "boom")))
        term = rng.choice(("ok", "ok", "ok", "ok", "crash"))
        registered = rng.choice(("n1", "n2", "none", "none"))
        return ("server", name, registered, rng.random() < 0.5, first, term)

    def call(self) -> Any:
        program = self.program()
        if self.rng.random() < 0.3:
            (number, effects, _) = program
            program = (number, [*effects, "stash"], ("noreply", self.then(0)))
        elif self.rng.random() < 0.1:
            hand_over = ("hand_over", self.whom())
            program = (program[0], [hand_over], ("noreply", "none"))
        return program

    def plain(self) -> list[Action]:
        rng = self.rng
        self.labels += 1
        commands: list[Any] = [
            ("call", self.whom(), single(self.call()), self.timeout()),
            ("monitor", self.whom(), f"r{self.labels}"),
            ("link", self.whom()),
            "flush",
        ]
        (command,) = rng.choices(commands, (10, 3, 1, 2))
        return [("cmd", CALLER, [command])]

    def asker(self) -> list[Action]:
        """Requests whose replies are received later, alone or together."""
        rng = self.rng
        times: tuple[Any, ...] = (0, 0, "infinity")
        if self.timed:
            times = (0, 6, 16, "infinity")
        chance = rng.random()
        if chance < 0.22:
            self.asked.append(f"q{self.number()}")
            command = ("send_request", self.whom(), self.call(), self.asked[-1])
        elif chance < 0.40 and self.asked:
            label = self.asked.pop(rng.randrange(len(self.asked)))
            command = ("receive_response", label, rng.choice(times))
        elif chance < 0.70:
            whom = self.whom()
            command = ("collect", whom, self.call(), f"{whom}_{self.number()}")
        elif chance < 0.88:
            command = ("receive_any", rng.choice(times))
        else:
            command = rng.choice(("collected", "collected", "give_up"))
        return [("cmd", ASKER, [command])]

    def look(self) -> list[Action]:
        """What `sys` shows and changes."""
        rng = self.rng
        requests: list[Any] = [
            "get_state",
            ("replace", rng.choice(("s", "s", "raise")), self.number()),
            ("statistics", rng.choice(("start", "start", "stop"))),
            ("statistics", "get"),
        ]
        (request,) = rng.choices(requests, (2, 2, 2, 3))
        return [("req", self.number(), self.whom(), request)]

    def anyone(self) -> Any:
        """A server, by pid or by name."""
        rng = self.rng
        if rng.random() < 0.2:
            return ("name", rng.choice(("n1", "n2", "n3")))
        return self.whom()

    def signal(self) -> list[Action]:
        reasons = ("normal", "shutdown", "boom", "kill", "killed", ("shutdown", "t"))
        return [("cmd", "x", [("exit", self.whom(), self.rng.choice(reasons))])]

    def step(self) -> list[Action]:
        rng = self.rng
        chance = rng.random()
        if self.timed and chance < 0.3:
            return [("advance", rng.choice((1, 1, 2)))]
        (make,) = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
        return getattr(self, make)()

    def ask(self) -> list[Action]:
        call = ("call", self.number(), self.anyone(), self.call(), self.timeout())
        return [call]

    def cast(self) -> list[Action]:
        return [("cast", self.anyone(), self.program())]

    def info(self) -> list[Action]:
        return [("info", self.whom(), self.program())]

    def parent(self) -> list[Action]:
        return [("parent", self.whom(), self.rng.choice((*REASONS, "kill")))]

    def start(self) -> list[Action]:
        if not self.later:
            return self.ask()
        name = self.later.pop(0)
        self.known.append(name)
        return [self.server(name)]

    def stop(self) -> list[Action]:
        reason = self.rng.choice(REASONS)
        return [("stop", self.number(), self.anyone(), reason, "infinity")]

    # --- situations that chance alone would bring about too seldom

    def fresh(self, *, term: str = "ok", name: str = "none", first: Any = None) -> Any:
        self.fresh_ones += 1
        id = f"f{self.fresh_ones}"
        first = first or ("ok", "none")
        return id, ("server", id, name, self.rng.random() < 0.5, first, term)

    def failing_first(self) -> Any:
        rng = self.rng
        failures: tuple[Any, ...] = (
            ("ignore",),
            ("stop", rng.choice(REASONS)),
            ("bad",),
            ("die", rng.choice(("crash", "boom"))),
        )
        return rng.choice(failures)

    def situation(self) -> list[Action]:
        return getattr(self, self.rng.choice(SITUATIONS))()

    def name_freed(self) -> list[Action]:
        name = f"k{self.number()}"
        first = self.failing_first()
        if first == ("bad",):
            first = ("ignore",)  # OTP forgets the name of this one
        _, failing = self.fresh(name=name, first=first)
        _, good = self.fresh(name=name)
        _, late = self.fresh(name=name)
        return [failing, good, late]

    def cannot_start(self) -> list[Action]:
        return [self.fresh(first=self.failing_first())[1] for _ in range(2)]

    def held(self) -> list[Action]:
        id, start = self.fresh()
        before = ("req", self.number(), id, "suspend")
        call = ("call", self.number(), id, self.program(2), "infinity")
        reason = self.rng.choice(REASONS)
        after: list[Action] = [("parent", id, reason)]
        if self.rng.random() < 0.3:
            after = [("req", self.number(), id, "resume")]
        return [start, before, call, *after]

    def looked_into(self) -> list[Action]:
        id, start = self.fresh()
        requests: list[Any] = [
            ("statistics", "start"),
            ("statistics", "get"),
            "get_state",
            ("replace", "s", self.number()),
            ("replace", "raise", self.number()),
            ("statistics", "get"),
        ]
        steps: list[Action] = [start]
        for request in requests:
            if self.rng.random() < 0.5:
                steps.append(("cast", id, self.program(2)))
            steps.append(("req", self.number(), id, request))
        return steps

    def last_words(self) -> list[Action]:
        rng = self.rng
        id, start = self.fresh(term=rng.choice(("ok", "crash")))
        reason = rng.choice(REASONS)
        results: tuple[Any, ...] = (
            ("stop", reason, self.number()),
            ("stop", reason, self.number()),
            ("stop", "normal"),
            ("stop", reason),
            "bad",
            "bad",
        )
        todo = (self.number(), [], rng.choice(results))
        return [start, ("call", self.number(), id, todo, "infinity")]

    def parted(self) -> list[Action]:
        id, start = self.fresh()
        end: Action = ("parent", id, self.rng.choice((*REASONS, "kill")))
        if self.rng.random() < 0.3:
            end = ("stop", self.number(), id, self.rng.choice(REASONS), "infinity")
        return [start, end, ("cast", id, self.program(2))]

    def slow(self) -> list[Action]:
        if not self.timed:
            return self.twice()
        id, start = self.fresh()
        todo = (self.number(), [("sleep", 14)], ("reply", self.number(), "none"))
        if self.rng.random() < 0.5:
            ask: list[Action] = [("call", self.number(), id, todo, 6)]
        else:
            label = f"q{self.number()}"
            ask = [("cmd", ASKER, [("send_request", id, todo, label)])]
            ask.append(("cmd", ASKER, [("receive_response", label, 6)]))
        return [start, *ask, ("advance", 2)]

    def twice(self) -> list[Action]:
        id, start = self.fresh()
        later = (self.number(), ["stash"], ("noreply", "none"))
        now = (self.number(), [("reply_stashed", self.number())], ("noreply", "none"))
        both = [("reply_now", self.number())]
        again = (self.number(), both, ("reply", self.number(), "none"))
        at_once = (self.number(), both, ("noreply", "none"))
        return [
            start,
            ("call", self.number(), id, later, "infinity"),
            ("cast", id, now),
            ("call", self.number(), id, again, "infinity"),
            ("call", self.number(), id, at_once, "infinity"),
        ]

    def many(self) -> list[Action]:
        """Requests of one collection, some to a server that ends."""
        rng = self.rng
        steps: list[Action] = []
        for _ in range(rng.randint(1, 3)):
            id, start = self.fresh()
            replies = ("reply", self.number(), "none")
            result = replies if rng.random() < 0.6 else ("stop", "boom")
            todo = (self.number(), [], result)
            steps.append(start)
            label = f"{id}_{self.number()}"
            steps.append(("cmd", ASKER, [("collect", id, todo, label)]))
        times = range(rng.randint(1, 4))
        return steps + [("cmd", ASKER, [("receive_any", 0)]) for _ in times]

    def unanswered(self) -> list[Action]:
        id, start = self.fresh()
        todo = (self.number(), ["stash"], ("noreply", "none"))
        label = f"q{self.number()}"
        sent: list[Any] = [("give_up"), ("collect", id, todo, f"{id}_{self.number()}")]
        received: list[Any] = [("receive_any", 0), "collected"]
        if self.rng.random() < 0.5:
            sent = [("send_request", id, todo, label)]
            received = [("receive_response", label, 0)]
        answer = (self.number(), [("reply_stashed", 1)], ("noreply", "none"))
        late: Action = ("cast", id, answer)
        asks = [("cmd", ASKER, [command]) for command in (*sent, *received)]
        return [start, *asks, late, ("cmd", ASKER, [("receive_any", 0)])]

    def itself(self) -> list[Action]:
        id, start = self.fresh()
        effects = [("call", id, self.program(2), "infinity")]
        todo = (self.number(), effects, ("reply", self.number(), "none"))
        return [start, ("call", self.number(), id, todo, "infinity")]

    def handed_over(self) -> list[Action]:
        id, start = self.fresh()
        other, start_other = self.fresh()
        todo = (self.number(), [("hand_over", other)], ("noreply", "none"))
        return [start, start_other, ("call", self.number(), id, todo, "infinity")]

    def struck(self) -> list[Action]:
        id, start = self.fresh()
        reason = self.rng.choice(("kill", "normal", "boom", "shutdown"))
        return [start, ("cmd", "x", [("exit", id, reason)])]

    def one(self) -> list[Action]:
        id, start = self.fresh()
        todo = (self.number(), [], self.result(2))
        label = f"q{self.number()}"
        return [
            start,
            ("cmd", ASKER, [("send_request", id, todo, label)]),
            ("cmd", ASKER, [("receive_response", label, 0)]),
        ]

    def suspension(self) -> list[Action]:
        whom = self.whom()
        inside = [
            action
            for _ in range(self.rng.randint(1, 3))
            for action in self.step()
            if action[0] != "req" or action[3] not in ("suspend", "resume")
        ]
        return [
            ("req", self.number(), whom, "suspend"),
            *inside,
            ("req", self.number(), whom, "resume"),
        ]


SITUATIONS = (
    "name_freed",
    "cannot_start",
    "cannot_start",
    "held",
    "held",
    "looked_into",
    "last_words",
    "last_words",
    "last_words",
    "parted",
    "slow",
    "slow",
    "slow",
    "twice",
    "many",
    "one",
    "unanswered",
    "unanswered",
    "itself",
    "handed_over",
    "struck",
)
WEIGHTS = {
    "ask": 24,
    "cast": 10,
    "info": 8,
    "plain": 9,
    "asker": 22,
    "look": 9,
    "signal": 4,
    "start": 5,
    "parent": 2,
    "stop": 3,
    "suspension": 6,
}


def generate(rng: random.Random, seed: int, number: int) -> Scenario:
    """Make a scenario about servers and those who call them."""
    maker = Maker(rng)
    setup = (
        "home",
        ("plain", "x"),
        ("plain", CALLER),
        ("plain", ASKER),
        *(maker.server(name) for name in FIRST),
    )
    steps: list[Action] = []
    for _ in range(9):
        for _ in range(rng.randint(0, 3) if maker.timed else rng.randint(0, 5)):
            steps += maker.step()
        steps += maker.situation()
    return Scenario(
        seed,
        number,
        "servers",
        setup,
        tuple(steps),
        timed="fine" if maker.timed else "",
    )
