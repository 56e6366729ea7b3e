"""Static supervisors: strategies, restarts, failing starts, requests, suspensions."""

import random
from typing import Any, Literal

from tests.differential.scenario import Action, Scenario

IDS = ("a", "b", "c", "e")
INNER = ("k", "l", "m")
NEW = ("f", "g", "h")

REASONS: tuple[Any, ...] = ("normal", "shutdown", ("shutdown", "term"), "boom")
FAILURES: tuple[Any, ...] = (
    ("stop", "boom"),
    ("stop", "normal"),
    ("stop", "shutdown"),
    "crash",
    "boom",
)
RESTARTS = ("permanent", "permanent", "transient", "transient", "temporary")
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")


# What a scenario is about, and how often.
KINDS = {
    "flat": 10,
    "nested": 102,
    "auto": 136,
    "killing": 38,
    "hanging": 78,
    "starting": 52,
    "retrying": 80,
    "matrix": 52,
    "window": 50,
    "changing": 42,
}


ENDINGS = ("terminate", "terminate", "delete")
TIMED: dict[str, Literal["fine", "coarse"]] = {"hanging": "fine", "window": "coarse"}


class Maker:
    """Makes one scenario about a static supervisor."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        (self.kind,) = rng.choices(list(KINDS), list(KINDS.values()))
        self.auto = "never"
        if self.kind == "auto" or rng.random() < 0.1:
            autos = ("any_significant", "all_significant")
            (self.auto,) = rng.choices(autos, (2, 3))
        self.ids: list[str] = []
        self.sups = ["s"]
        self.hanging: set[str] = set()
        self.requests = 0

    # --- specs

    def plan(self, *, first_fails: bool) -> list[Any]:
        rng = self.rng
        chance = rng.random()
        plan: list[Any] = ["ok"]
        if chance < 0.30:
            plan += [
                rng.choice((*FAILURES, "ignore")) for _ in range(rng.randint(1, 2))
            ]
            plan += [rng.choice(("ok", "ok", *FAILURES))]
        elif chance < 0.34:
            plan += [rng.choice(FAILURES)]
        if first_fails and rng.random() < 0.3:
            plan = [rng.choice((*FAILURES, "ignore", "ignore")), *plan]
        return plan

    def worker(self, id: str, *, first_fails: bool = False) -> Any:
        rng = self.rng
        trap = rng.random() < 0.5
        term = "crash" if trap and rng.random() < 0.06 else "ok"
        grace = rng.choice((40, 40, "infinity", "brutal_kill"))
        if self.kind == "hanging" and rng.random() < 0.85 and len(self.hanging) < 4:
            trap, term = True, "hang"
            grace = rng.choice((4, 14, 14, "infinity", "brutal_kill"))
            self.hanging.add(id)
        restart = rng.choice(RESTARTS)
        what: Any = ("worker", self.plan(first_fails=first_fails), trap, term)
        if self.kind != "matrix" and rng.random() < 0.15:
            # Mostly a name of its own; sometimes one that another child has.
            name = "na" if rng.random() < 0.15 else f"n{id}"
            what = ("named", name, *what[1:])
        if rng.random() < 0.05 and id not in self.hanging:
            return (id, "default", "default", False, what)
        return (id, restart, grace, self.significant(restart), what)

    def significant(self, restart: str) -> bool:
        if restart == "permanent":
            # OTP's supervisor would reject it, ours never sees it: the spec does.
            return False
        if self.auto == "never":
            # Rejected, which is to be seen too.
            return self.rng.random() < 0.02
        return self.rng.random() < 0.6

    def inner(self) -> Any:
        rng = self.rng
        self.sups.append("t")
        children = [self.worker(id) for id in INNER[: rng.randint(1, 3)]]
        if self.kind == "nested":
            children[0] = (INNER[0], "permanent", *self.steady(INNER[0])[2:])
        self.ids += [child[0] for child in children]
        graces: tuple[Any, ...] = ("infinity",)
        if self.kind == "killing":
            graces = ("infinity", "brutal_kill")
        restart = rng.choice(("permanent", *("transient", "temporary") * 2))
        what = ("sup", rng.choice(STRATEGIES), rng.randint(0, 3), "never", children)
        return ("t", restart, rng.choice(graces), False, what)

    def root(self) -> Action:
        rng = self.rng
        fails = self.kind == "starting"
        ids = [*IDS[: rng.randint(1, 4)]]
        if rng.random() < 0.01:
            ids.append(ids[0])  # rejected
        self.ids += ids
        children = [self.worker(id, first_fails=fails) for id in ids]
        if self.kind == "nested" or (self.kind == "killing" and rng.random() < 0.7):
            children.insert(rng.randint(0, len(children)), self.inner())
        intensity = rng.choice((0, 1, 2, 2, 3, 3, 6, 6))
        if self.kind == "window":
            intensity = rng.choice((1, 2))
            children = [(id, "permanent", *self.steady(id)[2:]) for id in ids]
            self.intensity = intensity
            what = ("windowed", rng.choice(STRATEGIES), intensity, children)
            return ("root", "s", what)
        if self.kind == "matrix":
            intensity = 100
            children = [self.steady(id) for id in ids]
            self.specs = {child[0]: child for child in children}
        if self.kind == "retrying":
            children = [self.stumbling(id) for id in ids]
            intensity = rng.choice((4, 100, 100, 100))
        if self.kind == "starting":
            children = [self.steady(id) for id in ids]
        if self.kind == "auto":
            children = [self.mattering(id) for id in ids]
            intensity = 6
        if self.kind in ("nested", "starting"):
            intensity = 6
        what = ("sup", rng.choice(STRATEGIES), intensity, self.auto, children)
        return ("root", "s", what)

    def steady(self, id: str) -> Any:
        """A child whose starts all succeed."""
        id, _, grace, _, (*_, trap, _term) = self.worker(id)
        restart = self.rng.choice(("permanent", "transient", "temporary"))
        grace = 40 if grace == "default" else grace
        return (id, restart, grace, False, ("worker", ["ok"], trap, "ok"))

    def stumbling(self, id: str) -> Any:
        """A child whose first restarts fail."""
        rng = self.rng
        id, restart, grace, _, (*_, trap, _term) = self.worker(id)
        plan: list[Any] = ["ok"]
        for _ in range(6):
            plan += [rng.choice(FAILURES) for _ in range(rng.randint(1, 2))] + ["ok"]
        if rng.random() < 0.5:
            plan = ["ok", rng.choice(("ignore", "ignore", "ok"))]
        if restart in ("default", "temporary"):
            restart = "permanent"
        what: Any = ("worker", plan, trap, "ok")
        if rng.random() < 0.4:
            what = ("named", f"n{id}", *what[1:])
        return (id, restart, grace if grace != "default" else 40, False, what)

    def mattering(self, id: str) -> Any:
        """A child that is significant more often than not."""
        id, _, _, _, what = self.steady(id)
        restart = self.rng.choice(("transient", "transient", "temporary"))
        return (id, restart, 40, self.rng.random() < 0.8, what)

    # --- supervisors that are asked for later, some of which cannot start

    def newcomer(self) -> Any:
        rng = self.rng
        id = f"u{self.number()}"
        children = [self.worker(f"{id}{letter}") for letter in "ab"]
        intensity, auto = rng.randint(0, 3), "never"
        match rng.randrange(6):
            case 0:
                intensity = -1
            case 1:
                children.append(children[0])
            case 2:
                # Significant for nothing.
                children[1] = (children[1][0], "transient", 40, True, children[1][4])
            case 3:
                failing = ["ok", rng.choice(FAILURES)]
                children[1] = (*children[1][:4], ("worker", failing[1:], False, "ok"))
            case 4:
                children[0] = (*children[0][:4], ("worker", ["ignore"], True, "ok"))
            case _:
                auto = "any_significant"
        what = ("sup", rng.choice(STRATEGIES), intensity, auto, children)
        return (id, rng.choice(RESTARTS), "infinity", False, what)

    def change(self) -> Action:
        """New code: other flags, other specs for some children, and a new child."""
        rng = self.rng
        children = [self.worker(id) for id in self.ids if rng.random() < 0.7]
        if rng.random() < 0.5:
            id = f"w{self.number()}"
            self.ids.append(id)
            children.append(self.worker(id))
        children = list({child[0]: child for child in children}.values())
        intensity = rng.choice((0, 1, 3, 6))
        what = ("sup", rng.choice(STRATEGIES), intensity, "never", children)
        return self.request(("change", "s", what), "s")

    # --- actions

    def whom(self) -> str:
        return self.rng.choice(self.ids)

    def sup(self) -> str:
        return self.rng.choice(self.sups)

    def number(self) -> int:
        self.requests += 1
        return self.requests

    def request(self, request: Any, sup: str | None = None) -> Action:
        return ("req", self.number(), sup or self.sup(), request)

    def death(self) -> Action:
        whom = self.whom()
        if whom in self.hanging:
            return ("cmd", "x", [("exit", whom, "kill")])
        chance = self.rng.random()
        if chance < 0.55:
            return ("tell", whom, ("stop", self.rng.choice(REASONS)))
        if chance < 0.7:
            return ("tell", whom, self.rng.choice(("crash", "boom")))
        reason = self.rng.choice(("kill", "kill", "shutdown", "boom", "normal"))
        return ("cmd", "x", [("exit", whom, reason)])

    def burst(self) -> list[Action]:
        """Several deaths that the supervisor learns of one after the other."""
        sup = self.sup()
        deaths = [self.death() for _ in range(self.rng.randint(1, 4))]
        if self.rng.random() < 0.3:
            deaths.append(self.ask())
        if self.rng.random() < 0.1:
            deaths.append(self.end())
        return [self.request("suspend", sup), *deaths, self.request("resume", sup)]

    def ask(self) -> Action:
        kinds = ("start", "terminate", "restart", "delete", "which", "count", "spec")
        (kind,) = self.rng.choices(kinds, (14, 22, 18, 12, 18, 8, 8))
        match kind:
            case "start":
                return self.start()
            case "which" | "count":
                return self.request(kind)
            case _:
                whom = self.whom() if self.rng.random() < 0.94 else "nobody"
                return self.request((kind, whom))

    def start(self) -> Action:
        if self.rng.random() < (0.75 if self.kind == "starting" else 0.2):
            return self.request(("start", self.newcomer()))
        if self.auto == "never" and self.rng.random() < 0.1:
            # Refused: significant for nothing.
            spec = self.worker(self.whom())
            spec = (f"z{self.number()}", "transient", 40, True, spec[4])
            return self.request(("start", spec))
        free = [id for id in NEW if id not in self.ids]
        if free and self.rng.random() < 0.7:
            (id, *_) = free
            self.ids.append(id)
        else:
            id = self.whom()
            if id in self.hanging or id in INNER:
                return self.request("which")
        return self.request(("start", self.worker(id, first_fails=True)), "s")

    def end(self) -> Action:
        chance = self.rng.random()
        reason = self.rng.choice(("shutdown", "boom", ("shutdown", "term")))
        if self.kind == "killing" and chance < 0.6:
            return ("cmd", "x", [("exit", self.sup(), "kill")])
        if chance < 0.5:
            return ("parent", "s", reason)
        return self.request(("stop", self.rng.choice(("normal", reason))), "s")

    def noise(self) -> Action:
        """What a supervisor ignores: signals of strangers, messages it has no use for."""
        if self.rng.random() < 0.5:
            reason = self.rng.choice(("shutdown", "normal", "boom"))
            return ("cmd", "x", [("exit", self.sup(), reason)])
        return ("tell", self.sup(), "boom")

    def blow(self) -> Action:
        """One death in many: each child and each reason is as likely as the other."""
        whom, reason = self.whom(), self.rng.choice((*REASONS, "crash", "kill"))
        match reason:
            case "kill":
                return ("cmd", "x", [("exit", whom, "kill")])
            case "crash":
                return ("tell", whom, "crash")
            case _:
                return ("tell", whom, ("stop", reason))

    def revive(self) -> Action:
        return self.request(("restart", self.whom()), "s")

    def matrix(self) -> list[Action]:
        """Each death finds its child alive."""
        steps: list[Action] = []
        for _ in range(self.rng.randint(100, 120)):
            blow = self.blow()
            whom = blow[1] if blow[0] == "tell" else blow[2][0][1]
            restart = self.specs[whom][1]
            if restart == "temporary":
                # It may be gone, with a sibling or by itself, and so may they.
                steps += [
                    self.request(("start", spec), "s")
                    for spec in self.specs.values()
                    if spec[1] == "temporary"
                ]
            steps.append(blow)
            if restart == "temporary" and self.rng.random() < 0.15:
                steps.append(self.request(("restart", whom), "s"))
            if restart == "transient" and self.rng.random() < 0.9:
                steps.append(self.request(("restart", whom), "s"))
        return [*steps, self.request("which", "s"), self.end()]

    def starts(self) -> list[Action]:
        """Children that are asked for later: good ones, and all that are refused."""
        rng = self.rng
        steps: list[Action] = []
        for _ in range(rng.randint(11, 15)):
            id = f"y{self.number()}"
            kinds = ("newcomer", "refused", "default", "ignored", "failed", "again")
            match rng.choices(kinds, (14, 3, 9, 3, 2, 3)):
                case ["newcomer"]:
                    spec = self.newcomer()
                case ["refused"]:
                    spec = (id, "transient", 40, True, ("worker", ["ok"], True, "ok"))
                case ["default"]:
                    what = ("worker", ["ok"], False, "ok")
                    spec = (id, "default", "default", False, what)
                case ["ignored"]:
                    spec = (*self.steady(id)[:4], ("worker", ["ignore"], True, "ok"))
                case ["failed"]:
                    plan = [rng.choice(FAILURES)]
                    spec = (*self.steady(id)[:4], ("worker", plan, True, "ok"))
                case _:
                    whom = self.whom()
                    steps.append(self.request((rng.choice(ENDINGS), whom), "s"))
                    spec = self.steady(whom)
            steps.append(self.request(("start", spec), "s"))
            if rng.random() < 0.4:
                steps.append(self.request(("spec", spec[0]), "s"))
            if rng.random() < 0.15:
                steps.append(self.noise())
        return [*steps, self.request("which", "s"), self.end()]

    def retrying(self) -> list[Action]:
        """Requests that come while a child waits for its next attempt."""
        rng = self.rng
        steps: list[Action] = []
        for _ in range(rng.randint(28, 34)):
            whom = self.whom()
            steps.append(self.request("suspend", "s"))
            steps.append(("cmd", "x", [("exit", whom, "kill")]))
            if rng.random() < 0.6:
                steps.append(("cmd", "x", [("exit", self.whom(), "kill")]))
            kinds = ("terminate", "restart", "delete", "which", "start", "none")
            match rng.choices(kinds, (12, 9, 11, 7, 2, 1)):
                case ["which"]:
                    steps.append(self.request("which", "s"))
                case ["start"]:
                    steps.append(self.request(("start", self.stumbling(whom)), "s"))
                case ["none"]:
                    steps.append(("tell", self.whom(), "boom"))
                case [word]:
                    steps.append(self.request((word, whom), "s"))
            steps.append(self.request("resume", "s"))
            word = rng.choice(("restart", "restart", "terminate", "delete"))
            steps.append(self.request((word, whom), "s"))
            if rng.random() < 0.5:
                steps.append(self.request(("start", self.stumbling(whom)), "s"))
            steps.append(("tell", self.whom(), "boom"))
        return [*steps, self.request("which", "s"), self.request("count", "s")]

    def automatic(self) -> list[Action]:
        """Significant children end: on order, by a crash, and by themselves."""
        rng = self.rng
        steps: list[Action] = []
        if rng.random() < 0.4:
            steps.append(self.request(("terminate", self.whom()), "s"))
        if rng.random() < 0.6:
            steps.append(("tell", self.whom(), rng.choice(("boom", "crash"))))
        ids = list(self.ids)
        rng.shuffle(ids)
        reasons = ("normal", "shutdown", "normal", "boom")
        steps += [("tell", id, ("stop", rng.choice(reasons))) for id in ids]
        return [*steps, self.request("which", "s")]

    def exhausting(self) -> list[Action]:
        """The inner supervisor gives up."""
        return [self.blow_of(INNER[0]) for _ in range(9)]

    def blow_of(self, id: str) -> Action:
        return ("tell", id, self.rng.choice(("boom", "crash")))

    def window(self) -> list[Action]:
        """Deaths far inside the window, or far outside."""
        rng = self.rng
        before = [self.blow_of(self.whom()) for _ in range(self.intensity)]
        after = [self.blow_of(self.whom()) for _ in range(self.intensity)]
        if rng.random() < 0.95:
            after.append(self.blow_of(self.whom()))
        return [*before, ("advance", 24), *after, self.request("which", "s")]

    def steps(self) -> list[Action]:
        steps: list[Action] = []
        match self.kind:
            case "matrix":
                return self.matrix()
            case "window":
                return self.window()
            case "retrying":
                return self.retrying()
            case "auto":
                return self.automatic()
            case "starting":
                return self.starts()
            case "changing":
                steps += [self.change(), self.death(), self.change()]
            case "nested" if self.rng.random() < 0.95:
                steps += self.exhausting()
            case "killing" if self.rng.random() < 0.8:
                steps += [self.ask(), ("cmd", "x", [("exit", self.sup(), "kill")])]
            case _:
                pass
        for _ in range(self.rng.randint(5, 12)):
            chance = self.rng.random()
            if self.kind == "hanging" and chance < 0.35:
                steps.append(("advance", self.rng.choice((1, 1, 2))))
            elif chance < 0.55:
                steps.append(self.death())
            elif chance < 0.68 and self.kind != "hanging":
                steps += self.burst()
            elif self.kind == "changing" and chance < 0.78:
                steps.append(self.change())
            elif chance < 0.94:
                steps.append(self.ask())
            elif chance < 0.97:
                steps.append(self.noise())
            elif self.kind == "killing" or chance > 0.98:
                steps.append(self.end())
        steps += [self.request("which", "s"), self.request("count", "s")]
        if self.rng.random() < 0.5:
            steps.append(self.end())
        if self.kind == "hanging":
            steps.append(("advance", 2))
        return steps


def generate(rng: random.Random, seed: int, number: int) -> Scenario:
    """Make a scenario about a static supervisor and its children."""
    maker = Maker(rng)
    setup = (("plain", "x"), maker.root())
    return Scenario(
        seed,
        number,
        "supervisors",
        setup,
        tuple(maker.steps()),
        timed=TIMED.get(maker.kind, ""),
        # A killed supervisor's children end in no order, and in Erlang after it.
        strict=maker.kind != "killing",
    )


# --- dynamic supervisors


def generate_dynamic(rng: random.Random, seed: int, number: int) -> Scenario:
    """Make a scenario about `simple_one_for_one` and `DynamicSupervisor`."""
    maker = _Dynamic(rng)
    return Scenario(
        seed,
        number,
        "dynamic",
        (("plain", "x"), maker.root()),
        tuple(maker.steps()),
        timed="fine" if maker.hangs else "",
    )


class _Dynamic:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.hangs = rng.random() < 0.1
        self.matrix = not self.hangs and rng.random() < 0.6
        self.ids: list[str] = []
        self.requests = 0

    def root(self) -> Action:
        rng = self.rng
        grace = 4 if self.hangs else rng.choice((40, "infinity", "brutal_kill"))
        trap = self.hangs or rng.random() < 0.5
        term = "hang" if self.hangs else "ok"
        intensity = 100 if self.matrix else rng.choice((0, 1, 2, 3, 6, 6))
        restart = rng.choice(RESTARTS)
        if self.matrix:
            restart = rng.choice(("permanent", "transient", "temporary"))
        what = ("dynamic", intensity, restart, grace, trap, term)
        return ("root", "dyn", what)

    def request(self, request: Any) -> Action:
        self.requests += 1
        return ("req", self.requests, "dyn", request)

    def start(self) -> Action:
        rng = self.rng
        id = f"c{len(self.ids) + 1}"
        self.ids.append(id)
        chance = rng.random()
        plan: list[Any] = ["ok"]
        if chance < 0.08:
            plan = ["ignore"]
        elif chance < 0.22:
            plan = [rng.choice(FAILURES)]
        elif chance < 0.5:
            # No ignore here: what OTP keeps of a restart that is ignored we forget.
            plan += [rng.choice(FAILURES) for _ in range(rng.randint(1, 2))] + ["ok"]
        return self.request(("start_dynamic", id, plan))

    def death(self) -> Action:
        whom = self.rng.choice(self.ids)
        chance = self.rng.random()
        if self.hangs:
            return ("cmd", "x", [("exit", whom, "kill")])
        if chance < 0.6:
            return ("tell", whom, ("stop", self.rng.choice(REASONS)))
        if chance < 0.75:
            return ("tell", whom, self.rng.choice(("crash", "boom")))
        reason = self.rng.choice(("kill", "kill", "shutdown", "boom", "normal"))
        return ("cmd", "x", [("exit", whom, reason)])

    def steps(self) -> list[Action]:
        rng = self.rng
        if self.matrix:
            return self.deaths()
        steps = [self.start() for _ in range(rng.randint(1, 4))]
        for _ in range(rng.randint(3, 6) if self.hangs else rng.randint(4, 14)):
            chance = rng.random()
            if chance < 0.25 and len(self.ids) < 12:
                steps.append(self.start())
            elif chance < 0.65:
                steps.append(self.death())
            elif chance < 0.8:
                steps.append(self.request(("terminate_pid", rng.choice(self.ids))))
            elif chance < 0.98:
                steps.append(self.request(rng.choice(("which", "count"))))
            else:
                steps.append(self.end())
        steps.append(self.request("which"))
        if rng.random() < 0.6:
            steps.append(self.end())
        if not self.hangs:
            return steps
        # While OTP's supervisor waits for a child that hangs it serves nobody; ours does.
        paused = [(step, ("advance", 1)) for step in steps]
        return [step for pair in paused for step in pair]

    def deaths(self) -> list[Action]:
        """Each reason finds a child alive; then the end of several."""
        steps: list[Action] = []
        for _ in range(self.rng.randint(22, 28)):
            id = f"c{len(self.ids) + 1}"
            self.ids.append(id)
            plan = ["ignore"] if self.rng.random() < 0.06 else ["ok"]
            steps.append(self.request(("start_dynamic", id, plan)))
            reason = self.rng.choice((*REASONS, "crash", "kill", "order"))
            match reason:
                case "order":
                    steps += [self.request(("terminate_pid", id)) for _ in range(2)]
                case "kill":
                    steps.append(("cmd", "x", [("exit", id, "kill")]))
                case "crash":
                    steps.append(("tell", id, "crash"))
                case _:
                    steps.append(("tell", id, ("stop", reason)))
        steps += [self.request("which"), self.start(), self.start(), self.start()]
        return [*steps, self.request("count"), self.end()]

    def end(self) -> Action:
        chance = self.rng.random()
        if chance < 0.2 and not self.hangs:
            return ("cmd", "x", [("exit", "dyn", "kill")])
        if chance < 0.6:
            return ("parent", "dyn", self.rng.choice(("shutdown", "boom")))
        return self.request(("stop", self.rng.choice(("normal", "shutdown"))))
