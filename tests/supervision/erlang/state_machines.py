"""State machines as data, and what real Erlang does with them.

Each scenario is a table of rules (what a callback returns, by state, kind of event and
content) and a script of what is done to the machine. ``state_machines.traces`` is what
OTP's ``gen_statem`` did with them: the output of ``state_machine.escript`` on OTP 25, one
line for whatever a callback or a caller saw. The rules use the words of that script;
times are milliseconds. After a change here:

    python -m tests.supervision.erlang.state_machines
"""

import subprocess
from pathlib import Path
from typing import Any

import attrs

Term = Any

HERE = Path(__file__).parent
SCRIPT = HERE / "state_machine.escript"
TRACES = HERE / "state_machines.traces"


@attrs.frozen
class Scenario:
    """One machine and its life.

    Attributes:
        name: What it shows.
        otp: The items of the checklist that it proves.
        rules: ``{(state, kind, content): [results]}``, of ``enter`` ``(state, "enter")``;
            a result is used once, the last one again and again; without one: keep.
        script: What is done, one step after the other.
    """

    name: str
    otp: tuple[str, ...]
    rules: dict[Any, list[Term]]
    script: list[Term]
    mode: str = "functions"
    enter: bool = False
    trap: bool = False
    init: Term = ("ok", "a", "data")
    states: tuple[str, ...] = ("a", "b", "c")

    def as_erlang(self) -> str:
        options = [
            ("mode", self.mode),
            ("states", list(self.states)),
            ("init", self.init),
            ("enter", self.enter),
            ("trap", self.trap),
        ]
        return render((self.name, options, list(self.rules.items()), self.script))


def render(term: Term) -> str:
    """Write *term* as Erlang reads it."""
    if isinstance(term, bool):
        return str(term).lower()
    if isinstance(term, tuple):
        return "{" + ",".join(map(render, term)) + "}"
    if isinstance(term, list):
        return "[" + ",".join(map(render, term)) + "]"
    return f"'{term}'" if isinstance(term, str) else str(term)


def program(scenarios: list[Scenario]) -> str:
    """The input of the script."""
    return "[" + ",\n".join(scenario.as_erlang() for scenario in scenarios) + "].\n"


def canonical(lines: list[str]) -> list[str]:
    """The same for each run: what callers saw, which is in no order, at the end."""
    callers = [line for line in lines if line.startswith("> ")]
    return [line for line in lines if line not in callers] + sorted(callers)


def on_erlang(scenarios: list[Scenario]) -> dict[str, list[str]]:
    """What a real Erlang does with *scenarios*, by their names."""
    done = subprocess.run(
        ["escript", SCRIPT],
        input=program(scenarios),
        capture_output=True,
        check=True,
        text=True,
    )
    return parse(done.stdout)


def parse(text: str) -> dict[str, list[str]]:
    """Read what the script prints, or what was kept of that."""
    found: dict[str, list[str]] = {}
    for part in text.split("= ")[1:]:
        name, *lines = part.splitlines()
        found[name] = canonical(lines)
    return found


def traces() -> dict[str, list[str]]:
    """What Erlang did when somebody last asked, by the names of the scenarios."""
    return parse(TRACES.read_text())


def burst(*steps: Term) -> Term:
    """Steps that are all done before the machine goes on."""
    return ("burst", list(steps))


SCENARIOS = [
    Scenario(
        "inserted events come first, in their order, then those of before",
        ("96",),
        {
            ("a", "cast", "go"): [
                ("keep", [("event", "internal", "x"), ("event", "cast", "y")])
            ],
            ("a", "internal", "x"): [
                ("keep", [("event", "internal", "z"), ("event", "info", "i")])
            ],
        },
        [burst(("cast", "go"), ("cast", "late"))],
    ),
    Scenario(
        "a change of state retries the postponed, oldest first, after the inserted",
        ("96", "98"),
        {
            ("a", "cast", "p"): [("keep", ["postpone"])],
            ("a", "cast", "q"): [("keep", ["postpone"])],
            ("a", "cast", "go"): [
                ("next", "b", [("event", "internal", "x"), ("event", "internal", "y")])
            ],
            ("b", "internal", "x"): [("keep", ["postpone"])],
            ("b", "cast", "p"): [("next", "c", [])],
            ("c", "cast", "q"): [("next", "a", ["postpone"])],
        },
        [burst(("cast", "p"), ("cast", "q"), ("cast", "go"), ("cast", "late"))],
    ),
    Scenario(
        "no change of state retries nothing: keep, repeat, next to the same",
        ("95", "96"),
        {
            ("a", "cast", "p"): [("keep", ["postpone"])],
            ("a", "cast", "repeat"): [("repeat", [])],
            ("a", "cast", "same"): [("next", "a", [])],
            ("a", "cast", "taken_back"): [
                ("next", "b", ["postpone", ("postpone", False)])
            ],
        },
        [
            burst(*(("cast", name) for name in ("p", "keep", "repeat", "same"))),
            ("cast", "taken_back"),
        ],
        enter=True,
    ),
    Scenario(
        "a state is entered at the start, on change and on repeat, also by enter",
        ("95", "98"),
        {
            ("a", "enter"): [("keep", []), ("repeat", []), ("keep", [])],
            ("a", "cast", "repeat"): [("repeat", [])],
            ("a", "cast", "go"): [("next", "b", [("event", "internal", "x")])],
            ("b", "enter"): [("next", "b", [("state_timeout", 0, "soon")])],
            ("b", "state_timeout", "soon"): [("next", "a", [])],
        },
        [("cast", "repeat"), ("cast", "go")],
        enter=True,
    ),
    Scenario(
        "enter undoes a postponement, and has the last word about a time-out",
        ("95", "97"),
        {
            ("a", "cast", "go"): [
                ("next", "b", ["postpone", ("state_timeout", 0, "of_event")])
            ],
            ("b", "enter"): [
                ("keep", [("postpone", False), ("state_timeout", 0, "of_enter")])
            ],
        },
        [("cast", "go")],
        enter=True,
    ),
    Scenario(
        "enter cannot change the state; the new one is terminated",
        ("95", "99"),
        {
            ("a", "cast", "go"): [("next", "b", [])],
            ("b", "enter"): [("next", "c", [])],
        },
        [("cast", "go")],
        enter=True,
    ),
    Scenario(
        "enter cannot postpone",
        ("95", "99"),
        {
            ("a", "cast", "go"): [("next", "b", [])],
            ("b", "enter"): [("keep", [("timer", "t", 0, "x"), "postpone"])],
        },
        [("cast", "go")],
        enter=True,
    ),
    Scenario(
        "enter cannot insert events",
        ("95", "99"),
        {("a", "enter"): [("keep", [("event", "internal", "x")])]},
        [],
        enter=True,
    ),
    Scenario(
        "enter that raises leaves the state of before",
        ("95", "99"),
        {
            ("a", "cast", "go"): [("next", "b", [])],
            ("b", "enter"): ["raise"],
        },
        [("cast", "go")],
        enter=True,
    ),
    Scenario(
        "zero time-outs in their order: after all that is in the machine, before the rest",
        ("97",),
        {
            ("a", "cast", "p"): [("keep", ["postpone"])],
            ("a", "cast", "go"): [
                (
                    "next",
                    "b",
                    [
                        ("timer", "t", 0, "x"),
                        ("state_timeout", 0, "s"),
                        ("timer", "u", 0, "x"),
                        ("event", "internal", "first"),
                        ("timer", "t", 0, "y"),
                    ],
                )
            ],
            ("b", "state_timeout", "s"): [("keep", [("event", "internal", "i")])],
        },
        [burst(("cast", "p"), ("cast", "go"), ("cast", "late"))],
    ),
    Scenario(
        "an event time-out is cancelled by every event, inserted or timed out",
        ("97",),
        {
            ("a", "cast", "inserted"): [
                ("keep", [("event_timeout", 0, "no"), ("event", "internal", "x")])
            ],
            ("a", "cast", "alone"): [("keep", [("event_timeout", 40, "yes")])],
            ("a", "cast", "disturbed"): [("keep", [("event_timeout", 60, "no")])],
            ("a", "cast", "zero"): [
                ("keep", [("timer", "t", 0, "first"), ("event_timeout", 0, "no")])
            ],
        },
        [
            ("cast", "inserted"),
            ("cast", "zero"),
            ("cast", "alone"),
            ("wait", 100),
            ("cast", "disturbed"),
            ("send", "disturbance"),
            ("wait", 100),
        ],
    ),
    Scenario(
        "a state time-out outlives keep and repeat, and is cancelled by a change",
        ("97",),
        {
            ("a", "cast", "set"): [("keep", [("state_timeout", 60, "set")])],
            ("a", "cast", "repeat"): [("repeat", [])],
            ("a", "state_timeout", "set"): [
                ("next", "b", [("state_timeout", 300, "no")])
            ],
            ("b", "cast", "go"): [("next", "c", [("timer", "t", 60, "generic")])],
            ("c", "cast", "back"): [("next", "a", [])],
        },
        [
            ("cast", "set"),
            ("cast", "keep"),
            ("cast", "repeat"),
            ("wait", 120),
            ("cast", "go"),
            ("cast", "back"),
            ("wait", 300),
        ],
        enter=True,
    ),
    Scenario(
        "set replaces, cancel cancels, update keeps the time or passes at once",
        ("97",),
        {
            ("a", "cast", "set"): [
                (
                    "keep",
                    [
                        ("timer", "replaced", 40, "old"),
                        ("timer", "cancelled", 40, "no"),
                        ("timer", "updated", 120, "old"),
                        ("state_timeout", 40, "no"),
                    ],
                )
            ],
            ("a", "cast", "change"): [
                (
                    "keep",
                    [
                        ("timer", "replaced", 200, "new"),
                        ("cancel_timer", "cancelled"),
                        ("update_timer", "updated", "new"),
                        ("update_timer", "missing", "at_once"),
                        ("cancel_timer", "nothing"),
                        "cancel_state_timeout",
                        "cancel_event_timeout",
                    ],
                )
            ],
            ("a", "cast", "events"): [
                ("keep", [("update_event_timeout", "e"), ("event", "internal", "x")])
            ],
            ("a", "cast", "states"): [
                ("keep", [("update_state_timeout", "s"), ("event", "internal", "x")])
            ],
            ("a", "internal", "x"): [
                ("keep", [("update_state_timeout", "updated")]),
            ],
        },
        [
            burst(("cast", "set"), ("cast", "change")),
            ("wait", 300),
            ("cast", "states"),
            ("cast", "events"),
        ],
    ),
    Scenario(
        "a pending time-out of zero can be set again, cancelled and updated",
        ("97",),
        {
            ("a", "cast", "set"): [
                (
                    "keep",
                    [
                        ("timer", "t", 0, "old"),
                        ("timer", "u", 0, "old"),
                        ("timer", "v", 0, "old"),
                        ("timer", "w", 0, "old"),
                        ("event", "internal", "x"),
                    ],
                )
            ],
            ("a", "internal", "x"): [
                (
                    "keep",
                    [
                        ("update_timer", "w", "new"),
                        ("cancel_timer", "v"),
                        ("timer", "t", 0, "new"),
                    ],
                )
            ],
        },
        [("cast", "set")],
    ),
    Scenario(
        "time-outs take their place among the messages",
        ("96", "97"),
        {
            ("a", "cast", "set"): [("keep", [("timer", "t", 60, "x")])],
            ("a", "timer:t", "x"): [("keep", [("state_timeout", 0, "y")])],
        },
        [
            ("cast", "set"),
            burst(("cast", "before"), ("wait", 120), ("cast", "after")),
        ],
    ),
    Scenario(
        "a time-out that has passed and waits is cancelled, replaced and updated, too",
        ("97",),
        {
            ("a", "cast", "set"): [
                ("keep", [("timer", name, 40, "old") for name in ("t", "u", "v", "w")])
            ],
            ("a", "cast", "change"): [
                (
                    "keep",
                    [
                        ("cancel_timer", "t"),
                        ("timer", "u", 40, "new"),
                        ("update_timer", "v", "new"),
                        ("timer", "w", 0, "new"),
                    ],
                )
            ],
        },
        [
            ("cast", "set"),
            burst(("cast", "change"), ("wait", 80), ("cast", "after")),
            ("wait", 80),
        ],
    ),
    Scenario(
        "an event time-out that has passed and waits is cancelled by what was before it",
        ("97",),
        {
            ("a", "cast", "set"): [("keep", [("event_timeout", 40, "no")])],
            ("a", "cast", "go"): [("next", "b", [("state_timeout", 40, "no")])],
            ("b", "cast", "go"): [("next", "a", [])],
        },
        [
            ("cast", "set"),
            burst(("send", "before"), ("wait", 80)),
            ("cast", "go"),
            burst(("cast", "go"), ("wait", 80)),
        ],
    ),
    Scenario(
        "a call is answered later, by another state, and only once",
        ("98",),
        {
            ("a", "call", "get"): [("keep", ["postpone"])],
            ("a", "call", "other"): [("keep", [])],
            ("a", "cast", "go"): [("next", "b", [("reply", "other", "kept")])],
            ("b", "call", "get"): [
                ("keep", [("reply", "get", "first"), ("reply", "get", "second")])
            ],
        },
        [burst(("call", "get"), ("call", "other")), ("cast", "go")],
    ),
    Scenario(
        "stop and reply answers before terminate; who waits learns the reason",
        ("98", "99"),
        {
            ("a", "call", "end"): [
                ("stop_and_reply", "shutdown", [("reply", "end", "bye")])
            ],
            ("a", "call", "waits"): [("keep", ["postpone"])],
        },
        [burst(("call", "waits"), ("call", "end"), ("call", "queued"))],
    ),
    Scenario(
        "stop ends with its reason",
        ("98", "99"),
        {("a", "cast", "end"): [("stop", "normal")]},
        [burst(("call", "waits"), ("cast", "end"))],
    ),
    Scenario(
        "a callback that raises is terminated in the state of the event",
        ("99",),
        {("a", "call", "bad"): ["raise"]},
        [("call", "bad")],
    ),
    Scenario(
        "nonsense is terminated in the state of the event",
        ("99",),
        {("a", "cast", "bad"): ["nonsense"]},
        [("cast", "bad")],
    ),
    Scenario(
        "a bad action is terminated in the next state, and what came before is done",
        ("98", "99"),
        {("a", "call", "bad"): [("next", "b", [("reply", "bad", "answered"), "pop"])]},
        [("call", "bad")],
    ),
    Scenario(
        "the exit of the parent is terminated when exits are trapped",
        ("99", "75"),
        {},
        [("cast", "x"), ("exit", "on_purpose")],
        trap=True,
    ),
    Scenario(
        "without trapping an exit ends it and nothing is terminated",
        ("99", "75"),
        {},
        [("cast", "x"), ("exit", "on_purpose")],
    ),
    Scenario(
        "an order to stop is terminated, trapping or not",
        ("99",),
        {},
        [("stop", "on_purpose")],
    ),
    Scenario(
        "the failure of terminate replaces the reason",
        ("99",),
        {("a", "cast", "end"): [("stop", "normal")], "terminate": ["raise"]},
        [("cast", "end")],
    ),
    Scenario(
        "callbacks are changed, pushed and popped; state and time-outs stay",
        ("98",),
        {
            ("a", "cast", "push"): [
                ("next", "b", [("state_timeout", 0, "t"), ("push", "second")])
            ],
            ("b", "cast", "pop"): [("repeat", ["pop"])],
            ("b", "cast", "change"): [("keep", [("change", "second")])],
            ("b", "cast", "end"): [("next", "c", ["pop"])],
        },
        [("cast", name) for name in ("push", "pop", "change", "end")],
        enter=True,
    ),
    Scenario(
        "the function for all states, its start with actions, and an unknown time-out",
        ("95",),
        {
            ("a", "internal", "first"): [("next", "b", [])],
            ("b", "cast", "go"): [("repeat", [])],
        },
        [("cast", "go")],
        mode="event",
        enter=True,
        init=("ok", "a", "data", [("next_event", "internal", "first"), "postpone"]),
    ),
    Scenario(
        "several time-outs for one time pass in reverse",
        ("97",),
        {
            ("a", "cast", "set"): [
                ("keep", [(("timer"), name, 40, "x") for name in ("t", "u", "v")])
            ],
            ("a", "timer:t", "x"): [
                ("keep", [("timer", name, 40, "y") for name in ("t", "u")])
            ],
        },
        [("cast", "set"), ("wait", 120)],
    ),
    Scenario(
        "an event that timed out can be postponed, too",
        ("96", "97"),
        {
            ("a", "cast", "set"): [("keep", [("state_timeout", 0, "s")])],
            ("a", "state_timeout", "s"): [("keep", ["postpone"])],
            ("a", "cast", "go"): [("next", "b", [])],
        },
        [("cast", "set"), ("cast", "go")],
    ),
    Scenario(
        "to set it to infinity cancels a time-out",
        ("97",),
        {
            ("a", "cast", "set"): [
                ("keep", [("timer", "t", 40, "x"), ("timer", "u", 40, "x")])
            ],
            ("a", "cast", "end"): [("keep", [("timer", "t", "infinity", "x")])],
        },
        [burst(("cast", "set"), ("cast", "end")), ("wait", 80)],
    ),
    Scenario(
        "a state that is unknown ends it with the first event there",
        ("99",),
        {("a", "cast", "go"): [("next", "nowhere", [])]},
        [("cast", "go"), ("cast", "x")],
    ),
    Scenario(
        "a bad reply ends it, after the good ones before",
        ("98", "99"),
        {
            ("a", "call", "go"): [
                ("stop_and_reply", "normal", [("reply", "go", "v"), "postpone"])
            ]
        },
        [("call", "go")],
    ),
    Scenario(
        "enter may reply and stop",
        ("95", "98", "99"),
        {
            ("a", "call", "go"): [("next", "b", ["postpone"])],
            ("b", "enter"): [("stop_and_reply", "shutdown", [("reply", "go", "bye")])],
        },
        [("call", "go")],
        enter=True,
    ),
    Scenario(
        "enter cannot change the callbacks",
        ("95", "98", "99"),
        {("a", "enter"): [("keep", [("push", "second")])]},
        [],
        enter=True,
    ),
    Scenario(
        "the exit of the parent ends it also while it is suspended",
        ("93", "99"),
        {},
        ["suspend", ("cast", "x"), ("exit", "on_purpose")],
        trap=True,
    ),
    Scenario(
        "an order to stop waits for what is in the machine",
        ("97", "99"),
        {
            ("a", "cast", "go"): [("keep", [("timer", "t", 0, "x")])],
            ("a", "timer:t", "x"): [("keep", [("timer", "t", 0, "x")]), ("keep", [])],
        },
        [burst(("cast", "go"), ("stop", "normal"))],
    ),
    Scenario(
        "a system message is no event",
        ("93", "97"),
        {("a", "cast", "set"): [("keep", [("event_timeout", 60, "e")])]},
        [("cast", "set"), "suspend", "resume", ("wait", 120)],
    ),
    Scenario(
        "while suspended events wait, time-outs too; a replaced state is not entered",
        ("93",),
        {
            ("a", "cast", "set"): [
                ("keep", [("timer", "t", 40, "x"), ("state_timeout", 60, "s")])
            ],
            ("a", "cast", "p"): [("keep", ["postpone"])],
        },
        [
            burst(("cast", "p"), ("cast", "set")),
            "suspend",
            ("cast", "waits"),
            ("wait", 100),
            ("replace", "b"),
            "resume",
            ("cast", "after"),
        ],
        enter=True,
    ),
]
"""Every one is run by us and, where there is one, by a real Erlang."""

if __name__ == "__main__":
    TRACES.write_text(
        "".join(
            "\n".join([f"= {name}", *lines, ""])
            for name, lines in on_erlang(SCENARIOS).items()
        )
    )
