"""A ledger read with plain SQLite: rows, and nothing of the node's code.

What the auditor compares with what clients, the model provider and the world of the
tools have seen (:mod:`tests.audit.known`).
"""

import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
import orjson

from tests.audit.look import look, open_work

T = TypeVar("T")
Row = dict[str, Any]
_MARKER = re.compile(r"<<([^<>]+)>>")
TABLES = [
    "sessions",
    "events",
    "inbox",
    "runs",
    "usage",
    "spent",
    "waits",
    "grants",
    "children",
    "commands",
    "work",
]
_SUMMARY = "[What was said before"
_ANNOUNCED = ("[The sub-agent ", "[The session ", "[The command ")


def marker_of(text: str) -> str:
    """What stands between ``<<`` and ``>>`` first; which message a text belongs to."""
    found = _MARKER.search(text)
    return found[1] if found else ""


def mark(text: str) -> str:
    """Which message *text* is: its marker; of one about a sub-agent, ``re:`` its task's.

    One that had nothing to say is known by its session. Empty for a summary, which is
    no message.
    """
    if text.startswith(_ANNOUNCED):
        return f"re:{marker_of(text) or text.split()[2]}"
    return "" if text.startswith(_SUMMARY) else marker_of(text)


def said(message: Mapping[str, Any]) -> str:
    """The text of a message as the journal keeps it."""
    return "".join(part["text"] for part in message["parts"] if part.get("_") == "Text")


@attrs.define
class Book:
    """A ledger at one moment: its rows, and what they mean together.

    Attributes:
        events: In the order of their ids; ``body`` is parsed, ``key`` the session's.
        inbox: In the order of their ids; ``body`` is parsed, ``marker`` the message's.
        usage: With those of conversations that were deleted; their ``key`` is empty.
        sums: What is left of such rows when they are erased.
        deleted: Conversations that were deleted: the key, and how many of its events
            there are still. Nothing else here is of them.
    """

    sessions: list[Row] = attrs.field(factory=list)
    events: list[Row] = attrs.field(factory=list)
    inbox: list[Row] = attrs.field(factory=list)
    runs: list[Row] = attrs.field(factory=list)
    usage: list[Row] = attrs.field(factory=list)
    spent: list[Row] = attrs.field(factory=list)
    waits: list[Row] = attrs.field(factory=list)
    grants: list[Row] = attrs.field(factory=list)
    children: list[Row] = attrs.field(factory=list)
    commands: list[Row] = attrs.field(factory=list)
    work: list[Row] = attrs.field(factory=list)
    sums: list[Row] = attrs.field(factory=list)
    deleted: dict[str, int] = attrs.field(factory=dict)
    # Looked through for each of a thousand runs: by table and column, as long as it was.
    _found: dict[tuple[str, str], tuple[int, dict[str, list[Row]]]] = attrs.field(
        factory=dict, init=False, eq=False, repr=False
    )

    def _where(self, table: str, column: str, value: str) -> list[Row]:
        """The rows of *table* that have *value* in *column*, in their order."""
        rows: list[Row] = getattr(self, table)
        length, by = self._found.get((table, column), (-1, {}))
        if length != len(rows):
            by = {}
            for row in rows:
                by.setdefault(row[column], []).append(row)
            self._found[table, column] = len(rows), by
        return by.get(value, [])

    def without(self, keys: Collection[str]) -> "Book":
        """All but the sessions of *keys*; what they cost belongs to none any more."""

        def stays(row: Row) -> bool:
            return row["key"] not in keys

        names = ("sessions", "events", "inbox", "runs", "waits", "work")
        rest = {name: list(filter(stays, getattr(self, name))) for name in names}
        spent = [r for r in self.spent if r["scope"] != "session" or stays(r)]
        usage = [r if stays(r) else {**r, "key": "", "run_id": ""} for r in self.usage]
        return attrs.evolve(self, **rest, spent=spent, usage=usage)

    def roots(self) -> dict[str, Row]:
        """The conversation that each sub-agent's session works for in the end.

        By who has spawned whom; where one between the two is deleted nobody can say.
        """
        ids = {row["id"]: row for row in self.sessions}
        above = {
            child["session"]: child["parent_session"]
            for child in self.children
            if child["kind"] == "spawn"
        }
        found: dict[str, Row] = {}
        for id_, row in ids.items():
            top = id_
            while top in above:
                top = above[top]
            if top != id_ and top in ids:
                found[row["key"]] = ids[top]
        return found

    def run(self, run_id: str) -> Row | None:
        return next(iter(self._where("runs", "run_id", run_id)), None)

    def message(self, marker: str) -> Row | None:
        """The row of the inbox that the message came in with."""
        return next(iter(self._where("inbox", "marker", marker)), None)

    def run_of(self, marker: str) -> Row | None:
        """The run that answers a message: its own, or the one that it joined."""
        row = self.message(marker)
        run = None if row is None else self.run(row["run_id"])
        while run is not None and run["joined"] is not None:
            run = self.run(run["joined"])
        return run

    def journal(self, key: str) -> list[Row]:
        return [*self._where("events", "key", key)]

    def of_run(self, run_id: str, *kinds: str) -> list[Row]:
        """The events of a run, of these kinds."""
        return [
            event
            for event in self._where("events", "run_id", run_id)
            if not kinds or event["kind"] in kinds
        ]

    def of_kind(self, *kinds: str) -> Iterator[Row]:
        return (event for event in self.events if event["kind"] in kinds)

    def is_ordered(self, run_id: str) -> bool:
        """Whether a run is one tool call of a client, and nothing is said in it."""
        begun = self.of_run(run_id, "run-started")
        return any(event["body"].get("ordered") for event in begun)

    def is_shortening(self, run_id: str) -> bool:
        """Whether a run is a client's order to make a conversation shorter."""
        begun = self.of_run(run_id, "run-started")
        return any(event["body"].get("compacts") for event in begun)

    @property
    def waiting(self) -> list[str]:
        """Markers of the messages whose turn is not over."""
        return [
            row["marker"]
            for row in self.inbox
            if (run := self.run_of(row["marker"])) is None or run["state"] != "ended"
        ]


def read_book(ledger: Path) -> Book:
    """A copy of *ledger* and its log, read. The node must be dead or idle."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / ledger.name
        for ending in ("-wal", ""):
            source = ledger.with_name(ledger.name + ending)
            if source.exists():
                shutil.copy(source, copy.with_name(copy.name + ending))
        if not copy.exists():
            return Book()
        connection = sqlite3.connect(copy)
        try:
            sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if sound != "ok":
                msg = f"the ledger is damaged: {sound}"
                raise AssertionError(msg)
            return read(connection)
        finally:
            connection.close()


def read(connection: sqlite3.Connection) -> Book:
    """The whole ledger, at one moment."""
    connection.row_factory = sqlite3.Row
    connection.execute("BEGIN")
    try:
        tables = {name: _rows(connection, name) for name in TABLES}
        sums = _rows(connection, "usage_sums")
    finally:
        connection.execute("ROLLBACK")
        connection.row_factory = None
    gone = {s["id"]: s["deleted_key"] for s in tables["sessions"] if s["deleted_at"]}
    left = Counter(event["session"] for event in tables["events"])
    for name in ("events", "inbox", "runs", "waits"):
        tables[name] = [row for row in tables[name] if row["session"] not in gone]
    tables["sessions"] = [row for row in tables["sessions"] if row["id"] not in gone]
    keys = {session["id"]: session["key"] for session in tables["sessions"]}
    for row in tables["events"]:
        row["body"], row["key"] = orjson.loads(row["body"]), keys[row["session"]]
    for row in tables["inbox"]:
        # What a deleted session has taken is recognised, and empty.
        row["body"] = orjson.loads(row["body"] or b'{"messages": []}')
        row["key"] = keys[row["session"]]
        words = "".join(map(said, row["body"]["messages"][-1:]))
        row["marker"] = mark(words) or row["external_id"]
    for name in ("runs", "waits"):
        for row in tables[name]:
            row["key"] = keys[row["session"]]
    runs = {run["id"]: run for run in tables["runs"]}
    for row in tables["usage"]:
        run = runs.get(row["run"], {"run_id": "", "key": ""})
        row["run_id"], row["key"] = run["run_id"], run["key"]
    for row in tables["work"]:
        run = runs.get(row["run"], {"run_id": "", "key": ""})
        row["run_id"], row["key"] = run["run_id"], run["key"]
    # Where vectors or a probe are paid for nobody has said anything: no turn.
    tables["runs"] = [run for run in tables["runs"] if not _is_beside(run["key"])]
    deleted = {key: left[id_] for id_, key in gone.items() if not _is_beside(key)}
    return Book(**tables, sums=sums, deleted=deleted)


def _is_beside(key: str) -> bool:
    """Whether a session belongs to no conversation, and is deleted when its time is over."""
    return ":embeddings:" in key or ":probe:" in key


def _rows(connection: sqlite3.Connection, table: str) -> list[Row]:
    order = {
        "spent": "day, scope, key",
        "usage": "run, attempt",
        "usage_sums": "day, agent",
        "children": "run_id",
    }
    return [
        dict(row)
        for row in connection.execute(
            f"SELECT * FROM {table} ORDER BY {order.get(table, 'rowid')}"
        )
    ]


def look_into(ledger: Path, query: Callable[[sqlite3.Connection], T]) -> T:
    """What *query* finds in a ledger that a node may have open."""
    connection = look(ledger)
    try:
        return query(connection)
    finally:
        connection.close()


def work_left(ledger: Path) -> int:
    """How many turns are not over, asked of a ledger that a node has open."""
    return look_into(ledger, open_work)
