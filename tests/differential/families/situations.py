"""Situations of plain processes that chance alone would bring about too seldom.

Each one is a list of actions with fresh processes, so that nothing of before is in the
way; who they are, and what they die of, is chance again.
"""

from typing import Any

from tests.differential.scenario import Action

from .processes import ENDS, GROUPS, NAMES, SIGNALS, Maker

FAILURES: tuple[Any, ...] = ("crash", "boom", "killed", "kill")


class Situations(Maker):
    """Makes one situation after the other."""

    def fresh(self) -> str:
        self.serial += 1
        return f"s{self.serial}"

    def pair(self, *, traps: bool | None = None) -> tuple[str, str, list[Action]]:
        one, other = self.fresh(), self.fresh()
        steps: list[Action] = [("plain", one), ("plain", other)]
        if traps or (traps is None and self.rng.random() < 0.5):
            steps.append(("cmd", one, [("trap", True)]))
        return one, other, steps

    def tell(self, who: str, *commands: Any) -> Action:
        return ("cmd", who, list(commands))

    def situation(self) -> list[Action]:
        names = GROUP_SITUATIONS if self.groups else SITUATIONS
        if self.timed:
            names = TIMED_SITUATIONS
        return getattr(self, self.rng.choice(names))()

    def normal(self) -> list[Action]:
        one, other, steps = self.pair()
        ends = [self.tell(other, ("exit", one, "normal"))]
        ends += [self.tell(one, ("exit", one, "normal"))]
        return [*steps, *ends[: self.rng.randint(1, 2)]]

    def demonitored(self) -> list[Action]:
        one, other, steps = self.pair()
        labels = [self.label(one) for _ in range(3)]
        steps += [self.tell(one, ("monitor", other, label)) for label in labels]
        if self.rng.random() < 0.6:
            steps.append(self.tell(one, ("demonitor", labels[0], False)))
        steps.append(self.tell(other, ("die", self.rng.choice(ENDS))))
        flushing = [(labels[0], False), (labels[1], True), (labels[2], False)]
        steps += [self.tell(one, ("demonitor", *flush)) for flush in flushing]
        return [*steps, self.tell(one, ("demonitor", labels[2], False))]

    def selective(self) -> list[Action]:
        one, other, steps = self.pair(traps=True)
        tags = [self.tag() for _ in range(self.rng.randint(3, 8))]
        steps.append(self.tell(other, ("link", one), *(("send", one, t) for t in tags)))
        steps.append(self.tell(one, ("recv", (False, tags[1], 0), "none", "none", 0)))
        steps.append(self.tell(other, ("die", self.rng.choice(ENDS))))
        steps.append(self.tell(one, ("recv", (False, 0, 0), "none", "none", 0)))
        which = (True, 0, 0) if self.rng.random() < 0.5 else (False, tags[-1], 0)
        return [*steps, self.tell(one, ("recv", which, other, "none", 0))]

    def untrapped(self) -> list[Action]:
        one, other, steps = self.pair(traps=True)
        steps.append(self.tell(one, ("link", other)))
        steps.append(self.tell(other, ("die", self.rng.choice(ENDS))))
        steps.append(self.tell(one, ("trap", False)))
        return [*steps, self.tell(one, ("unlink", other, self.rng.random() < 0.7))]

    def unlinked(self) -> list[Action]:
        one, other, steps = self.pair(traps=False)
        twice = [("link", other)] * self.rng.randint(1, 2)
        steps += [self.tell(one, link) for link in twice]
        steps.append(self.tell(one, ("unlink", other, False)))
        return [*steps, self.tell(other, ("die", self.rng.choice(FAILURES)))]

    def linked(self) -> list[Action]:
        one, other, steps = self.pair()
        steps += [self.tell(one, ("link", other)), self.tell(one, ("link", other))]
        steps.append(self.tell(one, ("link", one)))
        ends = (*ENDS, "return", "normal", "normal")
        return [*steps, self.tell(other, ("die", self.rng.choice(ends)))]

    def too_late(self) -> list[Action]:
        one, other, steps = self.pair()
        steps.append(self.tell(other, ("die", self.rng.choice(ENDS))))
        steps.append(self.tell(one, ("send", other, self.tag())))
        return [*steps, self.tell(one, ("link", other))]

    def killed(self) -> list[Action]:
        one, other, steps = self.pair()
        return [*steps, self.tell(other, ("exit", one, "kill"))]

    def blocked(self) -> list[Action]:
        one, other, steps = self.pair(traps=self.rng.random() < 0.2)
        steps.append(
            self.tell(one, ("recv", (False, 0, 0), "none", "none", "infinity"))
        )
        return [*steps, self.tell(other, ("exit", one, self.rng.choice(SIGNALS)))]

    def named(self) -> list[Action]:
        one, other, steps = self.pair()
        name = self.rng.choice(NAMES)
        steps += [self.tell(who, ("register", who, name)) for who in (other, one)]
        steps.append(self.tell(one, ("monitor_name", name, self.label(one))))
        steps.append(self.tell(other, ("die", self.rng.choice(ENDS))))
        steps.append(self.tell(one, ("whereis", name)))
        steps.append(self.tell(one, ("send_name", name, self.tag())))
        return [*steps, self.tell(one, ("register", one, name))]

    def born_dead(self) -> list[Action]:
        one, _, steps = self.pair()
        how: Any = "link"
        if self.rng.random() < 0.5:
            how = ("monitor", self.label(one))
        body = self.rng.choice(ENDS)
        return [*steps, self.tell(one, ("spawn", self.fresh(), how, body))]

    def member(self) -> list[Action]:
        one, other, steps = self.pair()
        group = self.rng.choice(GROUPS)
        steps.append(self.tell(other, ("monitor_group", group, self.label(other))))
        times = self.rng.randint(1, 3)
        steps += [self.tell(one, ("join", one, group)) for _ in range(times)]
        steps.append(self.tell(other, ("members", group)))
        times = self.rng.randint(0, 3)
        steps += [self.tell(other, ("leave", one, group)) for _ in range(times)]
        if self.rng.random() < 0.7:
            steps.append(self.tell(one, ("die", self.rng.choice(ENDS))))
        return [*steps, self.tell(other, ("members", group))]

    def timed_out(self) -> list[Action]:
        one, other, steps = self.pair()
        kind = self.rng.choice(("send_after", "start_timer"))
        label = self.timer_label(other)
        timer = ("timer", kind, one, self.rng.choice((4, 14, 24)), self.tag(), label)
        steps += [self.tell(other, timer), self.tell(other, ("read_timer", label))]
        steps.append(("advance", 1))
        steps.append(self.tell(other, ("cancel_timer", label)))
        waits = ("recv", (True, 0, 0), "none", "none", self.rng.choice((4, 14)))
        return [*steps, self.tell(one, waits), ("advance", 1)]


SITUATIONS = (
    "normal",
    "demonitored",
    "selective",
    "untrapped",
    "unlinked",
    "linked",
    "too_late",
    "killed",
    "blocked",
    "named",
    "born_dead",
)
GROUP_SITUATIONS = ("member",)
TIMED_SITUATIONS = ("timed_out", "timed_out", "timed_out", "selective")
