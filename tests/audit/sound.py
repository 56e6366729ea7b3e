"""A small world in which all is well, by hand: what the auditor's own tests damage.

One session ``s``: message ``a`` has a turn with two tools, a person's leave and a kill
in the middle; ``b`` joined it; ``c`` comes after, on a conversation that was summed up.
In session ``k`` a sub-agent worked for ``a``.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tests.audit.book import Book, Row
from tests.audit.known import Call, Cap, Effect, Kill, Known, Sent, Verdict

KEY = "s"
KILLED, LATER = 15.0, 20.0
TEXT = "answer to <<a>>"
DAY = "1970-01-01"


def text(words: str) -> Row:
    return {"text": words, "_": "Text"}


def tool(id_: str, name: str) -> Row:
    return {"id": id_, "name": name, "arguments": "{}", "_": "ToolCall"}


def message(role: str, *parts: Row) -> Row:
    return {"role": role, "parts": list(parts)}


def inbound(marker: str, inbox_id: int) -> tuple[str, None, Row]:
    said = message("user", text(f"<<{marker}>> please"))
    return "inbound", None, {"messages": [said], "inbox_id": inbox_id}


def answered(run: str, attempt: int, stop: str, *parts: Row) -> tuple[str, str, Row]:
    usage = {"input": 10, "output": 5}
    said = message("assistant", *parts)
    body = {"attempt": attempt, "message": said, "stop_reason": stop, "usage": usage}
    return "answered", run, body


def begun(id_: str, name: str, attempt: int = 1) -> tuple[str, str, Row]:
    body = {"call_id": id_, "tool": name, "key": f"ra/{id_}", "attempt": attempt}
    return "tool-begun", "ra", body


def ended(id_: str, outcome: str, words: str) -> tuple[str, str, Row]:
    result = {"id": id_, "text": words, "is_error": outcome != "ok"}
    return "tool-ended", "ra", {"outcome": outcome, "result": result}


BEFORE: list[tuple[str, str | None, Row]] = [
    inbound("a", 1),
    ("run-started", "ra", {"epoch": 1}),
    ("asked", "ra", {"attempt": 1}),
    answered("ra", 1, "tool_calls", tool("c1", "put"), tool("c2", "send")),
    ("wait-begun", "ra", {"wait_id": "w1", "call_id": "c2"}),
    begun("c1", "put"),
    ("wait-over", "ra", {"wait_id": "w1", "verdict": "allow"}),
    begun("c2", "send"),
]
AFTER: list[tuple[str, str | None, Row]] = [
    ("revived", "ra", {}),
    ("run-started", "ra", {"epoch": 2}),
    begun("c1", "put", 2),
    ended("c2", "unknown", "whether it was done is not known"),
    ended("c1", "ok", "it said: answer to <<k>>"),
    inbound("b", 2),
    ("asked", "ra", {"attempt": 2}),
    answered("ra", 2, "stop", text("answer to <<b>>")),
    ("run-over", "ra", {"outcome": "ok"}),
    inbound("c", 3),
    ("run-started", "rc", {"epoch": 1}),
    ("asked", "rc", {"attempt": 1, "purpose": "summary"}),
    ("compacted", "rc", {"first": 1, "last": 10}),
    ("asked", "rc", {"attempt": 2}),
    answered("rc", 2, "stop", text("answer to <<c>>")),
    ("run-over", "rc", {"outcome": "ok"}),
]
EPOCHS = {"ra": 2, "rc": 1}
# A sub-agent, which did what the call c1 asks for.
CHILD: list[tuple[str, str | None, Row]] = [
    inbound("k", 4),
    ("run-started", "rk", {"epoch": 1}),
    ("asked", "rk", {"attempt": 1}),
    answered("rk", 1, "stop", text("answer to <<k>>")),
    ("run-over", "rk", {"outcome": "ok"}),
]


def events(
    *rows: tuple[str, str | None, Row], key: str = KEY, first: int = 100
) -> list[Row]:
    epochs: dict[str | None, int] = {None: 0}
    made: list[Row] = []
    for seq, (kind, run_id, body) in enumerate(rows, 1):
        if kind == "run-started":
            epochs[run_id] = body["epoch"]
        made.append(
            {
                "id": first + seq,
                "key": key,
                "seq": seq,
                "previous": first + seq - 1 if seq > 1 else None,
                "kind": kind,
                "run_id": run_id,
                "run_epoch": epochs[run_id],
                "owner_epoch": 1 if first + seq <= 100 + len(BEFORE) else 2,
                "body": deepcopy(body),
            }
        )
    return made


def run(name: str, state: str = "ended", **more: Any) -> Row:
    over = state == "ended"
    return {
        "run_id": f"r{name}",
        "key": KEY,
        "state": state,
        "run_epoch": EPOCHS.get(f"r{name}", 1),
        "revivals": 0,
        "opened_at": 1.0,
        "outcome": "ok" if over else None,
        "text": f"answer to <<{'b' if name == 'a' else name}>>" if over else "",
        "error": None,
        "joined": None,
        **more,
    }


def row(marker: str, number: int) -> Row:
    said = message("user", text(f"<<{marker}>> please"))
    return {
        "id": number,
        "key": KEY,
        "marker": marker,
        "run_id": f"r{marker}",
        "source": "http",
        "account": "gateway",
        "conversation": KEY,
        "external_id": marker,
        "taken_at": 2.0,
        "body": {"messages": [said]},
    }


def use(run_id: str, attempt: int, *, open_: bool = False) -> Row:
    return {
        "run_id": run_id,
        "key": KEY,
        "agent": "main",
        "attempt": attempt,
        "at": 1.0,
        "bound_input": 20,
        "bound_output": 30,
        "bound_cost": 6,
        "settled_at": None if open_ else 3.0,
        "input": 10,
        "output": 5,
        "estimated": 0,
        "cost": 2,
        "root_id": None,
    }


def session(number: int, key: str) -> Row:
    return {"id": number, "key": key, "session_id": f"one {number}"}


def spent(calls: int, of_child: int = 0) -> list[Row]:
    purses = {
        ("tenant", "", DAY): calls + of_child,
        ("agent", "main", DAY): calls + of_child,
        ("session", KEY, ""): calls + of_child,
        **({("session", "k", ""): of_child} if of_child else {}),
    }
    return [
        {
            "scope": scope,
            "key": key,
            "day": day,
            "tokens": 15 * number,
            "cost": 2 * number,
            "calls": number,
            "ms": 500 * number,
        }
        for (scope, key, day), number in purses.items()
    ]


def wait(**more: Any) -> Row:
    return {
        "wait_id": "w1",
        "run_id": "ra",
        "key": KEY,
        "verdict": "allow",
        "by": "owner",
        "closed_at": 4.0,
        "agent": "main",
        "details": '{"script": "s"}',
        "granting": '{"tool": "put", "pattern": "p", "arguments": "s"}',
        "always": 1,
        **more,
    }


def grant() -> Row:
    return {
        "agent": "main",
        "tool": "put",
        "pattern": "p",
        "arguments": "s",
        "wait_id": "w1",
    }


def killed() -> Book:
    """The ledger at the kill: the tools work."""
    return Book(
        sessions=[{**session(1, KEY), "seq": len(BEFORE)}],
        events=events(*BEFORE),
        inbox=[row("a", 1)],
        runs=[run("a", "running", run_epoch=1)],
        usage=[use("ra", 1)],
        spent=spent(1),
        waits=[wait()],
        grants=[grant()],
    )


def book() -> Book:
    """The ledger when all is over."""
    of_child = {"source": "agent", "key": "k", "external_id": "ra/c1"}
    return Book(
        sessions=[
            {**session(1, KEY), "seq": len(BEFORE) + len(AFTER)},
            {**session(2, "k"), "seq": len(CHILD)},
        ],
        events=[*events(*BEFORE, *AFTER), *events(*CHILD, key="k", first=500)],
        inbox=[
            row("a", 1),
            row("b", 2),
            row("c", 3),
            {**row("k", 4), **of_child},
        ],
        runs=[
            run("a", revivals=1),
            run("b", "joined", joined="ra", opened_at=None),
            run("c"),
            run("k", key="k"),
        ],
        usage=[
            *(use("ra", 1), use("ra", 2), use("rc", 1), use("rc", 2)),
            {**use("rk", 1), "key": "k", "root_id": "one 1"},
        ],
        spent=spent(4, of_child=1),
        waits=[wait()],
        grants=[grant()],
        children=[
            {
                "run_id": "rk",
                "session": 2,
                "parent_run": "ra",
                "parent_session": 1,
                "call_id": "c1",
                "kind": "spawn",
                "mode": "wait",
                "state": "closed",
            }
        ],
    )


def said(role: str, words: str, **more: Any) -> Mapping[str, Any]:
    return {"role": role, "content": words, **more}


def prompt(*markers: str, calls: bool = False) -> tuple[Mapping[str, Any], ...]:
    first, *rest = markers
    made = [said("user", f"<<{first}>> please")]
    if calls:
        asked = [{"id": "c1"}, {"id": "c2"}]
        made.append(said("assistant", "", tool_calls=asked))
        made += [said("tool", "x", tool_call_id=call["id"]) for call in asked]
    made += [said("user", f"<<{marker}>> please") for marker in rest]
    return tuple(made)


def sent(marker: str, **more: Any) -> Sent:
    known = {"acked": 2.0, "finished": 60.0, "texts": [f"answer to <<{marker}>>"]}
    return Sent(marker=marker, session=KEY, at=1.0, **{**known, **more})


def known() -> Known:
    """All of it."""
    summary = said("user", "[What was said before, in short] they spoke")
    return Known(
        book=book(),
        sent={
            "a": sent("a", texts=["answer to <<b>>"], finished=30.0),
            "b": sent("b", after="a", acked=16.0, finished=30.0),
            "c": sent("c", after="b", acked=31.0),
        },
        kills=[Kill(KILLED, killed(), effects=2)],
        calls=[
            Call(marker="a", at=10.0, life=1, billed=(10, 5), messages=prompt("a")),
            Call(
                marker="b",
                at=LATER,
                billed=(10, 5),
                messages=prompt("a", "b", calls=True),
            ),
            Call(marker="k", at=LATER, billed=(10, 5), messages=prompt("k")),
            Call(marker="a", at=40.0, billed=(10, 5), summary=True),
            Call(marker="c", at=41.0, billed=(10, 5), messages=(summary, *prompt("c"))),
        ],
        effects=[
            Effect(tool="put", key="ra/c1", text="a/0.0", script="s", what="p"),
            Effect(tool="send", key="ra/c2", text="a/0.1"),
        ],
        verdicts=[
            Verdict(wait_id="w1", verdict="allow", by="owner", counts=True),
            Verdict(wait_id="w1", verdict="deny", by="other", counts=False),
        ],
        caps=(Cap("session", "cost", 10), Cap("session", "calls", 5)),
    )
