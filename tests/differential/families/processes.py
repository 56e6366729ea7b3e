"""Plain processes: links, monitors, signals, names, selective receives, groups."""

import random
from typing import Any

from tests.differential.scenario import Action

FIRST = ("p1", "p2", "p3", "p4")
LATER = ("q1", "q2", "q3", "q4", "q5", "q6")
NAMES = ("n1", "n2", "n3")
GROUPS = ("g1", "g2")
# Those who monitor groups; they join none, because that makes OTP 25 crash: its `pg`
# ends when a process dies that has monitored a group and then joined one.
WATCHERS = ("p1", "p2")

ENDS: tuple[Any, ...] = (
    "return",
    "crash",
    "normal",
    "shutdown",
    ("shutdown", "term"),
    "boom",
    "kill",
    "killed",
)
SIGNALS: tuple[Any, ...] = (
    "normal",
    "shutdown",
    ("shutdown", "term"),
    "boom",
    "kill",
    "kill",
    "killed",
    "noproc",
)
ORDINARY = tuple(reason for reason in SIGNALS if reason != "kill")


class Maker:
    """Makes the commands of one scenario; what it remembers is only for good odds."""

    def __init__(self, rng: random.Random, *, timed: bool, groups: bool) -> None:
        self.rng = rng
        self.timed = timed
        self.groups = groups
        self.known = [*FIRST]
        self.later = [*LATER]
        self.labels: list[tuple[str, str]] = []
        self.timers: list[tuple[str, str]] = []
        self.group_labels: list[tuple[str, str]] = []
        self.tags = 0
        self.serial = 0

    def whom(self) -> str:
        # Newer ones more often: they are more often alive.
        return self.rng.choice(self.known[-6:])

    def label(self, of: str, *, group: bool = False) -> str:
        labels = self.group_labels if group else self.labels
        label = f"r{len(self.labels) + len(self.group_labels)}"
        labels.append((of, label))
        return label

    def tag(self) -> int:
        self.tags += 1
        return self.tags

    def some_tag(self) -> int:
        return self.rng.randint(max(1, self.tags - 6), self.tags + 1)

    def body(self) -> Any:
        if self.rng.random() < 0.3:
            return self.rng.choice(ENDS)
        return self.rng.choice(("loop", "trap"))

    def spawn(self, here: str) -> Action:
        if not self.later:
            return self.trap(here)
        name = self.later.pop(0)
        self.known.append(name)
        how: Any = self.rng.choice(("plain", "link", "link", "monitor"))
        if how == "monitor":
            how = ("monitor", self.label(here))
        return ("spawn", name, how, self.body())

    def trap(self, here: str) -> Action:
        return ("trap", self.rng.random() < 0.7)

    def link(self, here: str) -> Action:
        return ("link", self.whom())

    def unlink(self, here: str) -> Action:
        return ("unlink", self.whom(), self.rng.random() < 0.5)

    def monitor(self, here: str) -> Action:
        return ("monitor", self.whom(), self.label(here))

    def monitor_name(self, here: str) -> Action:
        return ("monitor_name", self.rng.choice(NAMES), self.label(here))

    def demonitor(self, here: str) -> Action:
        label = self._label_of(here, self.labels)
        return ("demonitor", label, self.rng.random() < 0.5)

    def _label_of(self, here: str, labels: list[tuple[str, str]]) -> str:
        own = [label for of, label in labels if of == here]
        return self.rng.choice(own) if own else "none"

    def exit(self, here: str) -> Action:
        return ("exit", self.whom(), self.rng.choice(SIGNALS))

    def die(self, here: str) -> Action:
        return ("die", self.rng.choice(ENDS))

    def send(self, here: str) -> Action:
        return ("send", self.whom(), self.tag())

    def send_name(self, here: str) -> Action:
        return ("send_name", self.rng.choice(NAMES), self.tag())

    def receive(self, here: str) -> Action:
        tags = self.rng.choice(
            (
                (True, 0, 0),
                (False, self.some_tag(), 0),
                (False, self.some_tag(), self.some_tag()),
                (False, 0, 0),
            )
        )
        other = self.rng.choice(("none", "exit", "down"))
        whom = self.whom() if other == "exit" else "none"
        label = self._label_of(here, self.labels) if other == "down" else "none"
        timeouts: tuple[Any, ...] = (0, 0, 0, "infinity")
        if self.timed:
            timeouts = (0, 4, 14, 14, "infinity")
        return ("recv", tags, whom, label, self.rng.choice(timeouts))

    def timer(self, here: str) -> Action:
        if not self.timed:
            return self.alive(here)
        rng = self.rng
        to: Any = ("name", rng.choice(NAMES)) if rng.random() < 0.3 else self.whom()
        kind = rng.choice(("send_after", "start_timer"))
        length = rng.choice((4, 14, 24))
        return ("timer", kind, to, length, self.tag(), self.timer_label(here))

    def timer_label(self, here: str) -> str:
        self.timers.append((here, f"t{len(self.timers)}"))
        return self.timers[-1][1]

    def cancel_timer(self, here: str) -> Action:
        return ("cancel_timer", self._label_of(here, self.timers))

    def read_timer(self, here: str) -> Action:
        return ("read_timer", self._label_of(here, self.timers))

    def flush(self, here: str) -> Any:
        return "flush"

    def register(self, here: str) -> Action:
        whom = here if self.rng.random() < 0.5 else self.whom()
        return ("register", whom, self.rng.choice(NAMES))

    def unregister(self, here: str) -> Action:
        return ("unregister", self.rng.choice(NAMES))

    def whereis(self, here: str) -> Action:
        return ("whereis", self.rng.choice(NAMES))

    def alive(self, here: str) -> Action:
        return ("alive", self.whom())

    # --- groups

    def join(self, here: str) -> Action:
        whom = here if self.rng.random() < 0.4 else self.whom()
        if whom in WATCHERS:
            whom = "p3"
        return ("join", whom, self.rng.choice(GROUPS))

    def leave(self, here: str) -> Action:
        return ("leave", self.whom(), self.rng.choice(GROUPS))

    def members(self, here: str) -> Action:
        return ("members", self.rng.choice(GROUPS))

    def broadcast(self, here: str) -> Action:
        return ("broadcast", self.rng.choice(GROUPS), self.tag())

    def monitor_group(self, here: str) -> Action:
        label = self.label(here, group=True)
        return ("monitor_group", self.rng.choice(GROUPS), label)

    def demonitor_group(self, here: str) -> Action:
        return ("demonitor_group", self._label_of(here, self.group_labels))

    def burst(self, here: str) -> list[Any]:
        """Several commands without a rest between them, whose order is defined."""
        rng = self.rng
        whom = self.whom()
        reason = rng.choice(ORDINARY)
        tags = [("send", whom, self.tag()) for _ in range(rng.randint(1, 3))]
        match rng.randrange(9):
            case 0:
                return [*tags, ("exit", whom, reason), ("send", whom, self.tag())]
            case 1:
                return [*tags, self.die(here)]
            case 2:
                return [("link", whom), *tags, ("exit", whom, reason)]
            case 3:
                return [("exit", whom, rng.choice(SIGNALS)), ("unlink", whom, True)]
            case 4:
                label = self.label(here)
                asked = ("monitor", whom, label)
                return [asked, ("exit", whom, reason), ("demonitor", label, True)]
            case 5:
                return [("exit", whom, "normal"), *tags, ("exit", whom, "boom")]
            case 6:
                return [("link", whom), ("link", whom), ("unlink", whom, False)]
            case 7:
                labels = [self.label(here) for _ in range(2)]
                return [("monitor", whom, label) for label in labels]
            case _:
                return [("trap", True), ("link", whom), ("unlink", whom, False)]

    def commands(self, here: str) -> list[Any]:
        if self.rng.random() < 0.15:
            return self.burst(here)
        table = GROUP_WEIGHTS if self.groups else WEIGHTS
        if self.timed:
            table = TIMED_WEIGHTS
        (make,) = self.rng.choices(list(table), list(table.values()))
        return [getattr(self, make)(here)]

    def step(self) -> Action:
        chance = self.rng.random()
        if self.timed and chance < 0.3:
            return ("advance", 1)
        if chance > 0.96:
            return ("signal", self.whom(), self.rng.choice(SIGNALS))
        here = self.whom()
        if self.groups and chance < 0.3:
            here = self.rng.choice(WATCHERS)
            makes = (self.monitor_group, self.demonitor_group, self.flush)
            (make,) = self.rng.choices(makes, (3, 2, 1))
            return ("cmd", here, [make(here)])
        return ("cmd", here, self.commands(here))


WEIGHTS = {
    "spawn": 10,
    "trap": 7,
    "link": 16,
    "unlink": 5,
    "monitor": 9,
    "monitor_name": 4,
    "demonitor": 6,
    "exit": 9,
    "die": 6,
    "send": 10,
    "send_name": 5,
    "receive": 16,
    "flush": 4,
    "register": 8,
    "unregister": 3,
    "whereis": 4,
    "alive": 3,
}
TIMED_WEIGHTS = {**WEIGHTS, "timer": 24, "cancel_timer": 12, "read_timer": 8}
GROUP_WEIGHTS = {
    "spawn": 5,
    "trap": 3,
    "link": 5,
    "exit": 6,
    "die": 5,
    "join": 30,
    "leave": 14,
    "members": 16,
    "broadcast": 10,
    "receive": 5,
}
