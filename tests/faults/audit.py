"""The auditor: what clients were promised against what is on disk and was paid for.

It knows nothing of the node's code. Its three sources are what clients saw
(:class:`Turn`), what the model provider saw (:class:`Call`), and a copy of the ledger
read with plain SQLite (:class:`Book`). Everything here is a decision without I/O, but
:func:`read_book` and :func:`read_calls`.
"""

import re
import shutil
import sqlite3
import tempfile
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import orjson

_MARKER = re.compile(r"<<([^<>]+)>>")


@attrs.define(kw_only=True)
class Turn:
    """One message of a client, and what the client saw; times are monotonic.

    Attributes:
        marker: Stands in the message, so that it is found again everywhere.
        session: The conversation as the client names it; None: one of its own.
        sent: When it was sent first.
        acked: When the first byte of the response came, if it did.
        finished: When the whole answer had come, if it did.
        texts: Each answer that came in whole: the first, and what joins brought.
        after: The marker of the turn that this client had seen acknowledged in the
            same session when it sent this one.
    """

    marker: str
    session: str | None
    expected: str
    sent: float
    acked: float | None = None
    finished: float | None = None
    texts: list[str] = attrs.field(factory=list[str])
    after: str | None = None


@attrs.frozen
class Call:
    """One call of the model: for which turn, and what the prompt said."""

    marker: str
    at: float
    turns: tuple[tuple[str, str], ...]


@attrs.frozen
class Run:
    """A run as the ledger has it."""

    run_id: str
    state: str
    outcome: str | None
    text: str


@attrs.frozen(kw_only=True)
class Book:
    """A ledger at one moment.

    Attributes:
        accepted: Marker to run id, of every message in the inbox, taken or not.
        runs: Run id to run.
        journals: Session key to (kind, marker or text, run id) of each event in order.
    """

    accepted: Mapping[str, str]
    runs: Mapping[str, Run]
    journals: Mapping[str, tuple[tuple[str, str, str | None], ...]]

    def run_of(self, marker: str) -> Run | None:
        run_id = self.accepted.get(marker)
        return None if run_id is None else self.runs.get(run_id)

    def ended(self, marker: str) -> bool:
        run = self.run_of(marker)
        return run is not None and run.state == "ended"

    @property
    def open(self) -> tuple[str, ...]:
        """Markers of the turns in progress."""
        return tuple(
            marker
            for marker, run_id in self.accepted.items()
            if run_id in self.runs and self.runs[run_id].state == "running"
        )

    @property
    def waiting(self) -> tuple[str, ...]:
        """Markers of the turns that are not over."""
        return tuple(marker for marker in self.accepted if not self.ended(marker))


@attrs.frozen
class Kill:
    """A kill -9, and the ledger as it lay there afterwards."""

    at: float
    book: Book


@attrs.define
class Audit:
    """Everything that is known, and :meth:`violations` of what was promised."""

    turns: dict[str, Turn] = attrs.field(factory=dict[str, Turn])
    kills: list[Kill] = attrs.field(factory=list[Kill])

    def violations(self, calls: Sequence[Call], book: Book) -> list[str]:
        """What was broken so far; *book* is the ledger when all work had ended."""
        return [
            *self.lost(),
            *self.unanswered(book),
            *self.doubled(book),
            *self.paid_twice(calls),
            *self.order(book),
            *_prompts(calls, book),
        ]

    def lost(self) -> Iterable[str]:
        """Acknowledged before a kill, and not on disk after it."""
        for number, kill in enumerate(self.kills, 1):
            for turn in self.turns.values():
                if turn.acked is None or turn.acked > kill.at:
                    continue
                if turn.marker not in kill.book.accepted:
                    yield f"{turn.marker}: acknowledged, lost by kill {number}"

    def unanswered(self, book: Book) -> Iterable[str]:
        """Accepted, and without its one whole answer now."""
        for marker in book.accepted:
            if marker not in self.turns:
                yield f"{marker}: in the ledger, but nobody sent it"
        for turn in self.turns.values():
            run = book.run_of(turn.marker)
            if run is None:
                if turn.acked is not None:
                    yield f"{turn.marker}: acknowledged, not in the ledger"
                continue
            if (run.state, run.outcome) != ("ended", "ok"):
                yield f"{turn.marker}: {run.state}, {run.outcome}"
            elif run.text != turn.expected:
                yield f"{turn.marker}: answered {run.text!r}, not {turn.expected!r}"
            for text in turn.texts:
                if text != turn.expected:
                    yield f"{turn.marker}: a client got {text!r}"

    def doubled(self, book: Book) -> Iterable[str]:
        """In a transcript more than once, or the answer not exactly once."""
        asked: dict[str, int] = defaultdict(int)
        answered: dict[str, int] = defaultdict(int)
        for key, journal in book.journals.items():
            for kind, text, _ in journal:
                if kind == "inbound":
                    asked[text] += 1
                elif kind == "answered":
                    answered[text] += 1
            yield from _alternates(key, journal)
        for marker in book.accepted:
            if marker in self.turns and asked[marker] != 1:
                yield f"{marker}: {asked[marker]} times in a transcript"
            if marker in self.turns and answered[marker] != 1:
                yield f"{marker}: {answered[marker]} answers in a transcript"

    def paid_twice(self, calls: Sequence[Call]) -> Iterable[str]:
        """A model call sent again that no kill had cut."""
        killed = [kill.at for kill in self.kills]
        by_turn: dict[str, list[Call]] = defaultdict(list)
        for call in sorted(calls, key=lambda call: call.at):
            by_turn[call.marker].append(call)
        for marker, made in by_turn.items():
            turn = self.turns.get(marker)
            if turn is None:
                yield f"{marker}: the model was asked about what nobody sent"
                continue
            for before, after in pairwise(made):
                between = killed[
                    bisect_right(killed, before.at) : bisect_right(killed, after.at)
                ]
                if not between:
                    yield f"{marker}: asked again without a kill in between"
            if turn.finished is not None and made[-1].at > turn.finished:
                yield f"{marker}: asked again after its client had the answer"
            for number, kill in enumerate(self.kills, 1):
                if kill.book.ended(marker) and made[-1].at > kill.at:
                    yield f"{marker}: answered on disk at kill {number}, asked again"

    def extra_calls(self, calls: Sequence[Call]) -> int:
        """Calls beyond the first of each turn: each has a kill to answer for it."""
        return len(calls) - len({call.marker for call in calls})

    def order(self, book: Book) -> Iterable[str]:
        """Turns of one session in another order than its client sent them."""
        place = {
            text: (key, index)
            for key, journal in book.journals.items()
            for index, (kind, text, _) in enumerate(journal)
            if kind == "inbound"
        }
        for turn in self.turns.values():
            if turn.after is None or turn.marker not in place:
                continue
            here, there = place[turn.marker], place.get(turn.after)
            if there is None or here[0] != there[0] or here[1] < there[1]:
                yield f"{turn.marker}: not after {turn.after} in its session"


def _alternates(
    key: str, journal: Sequence[tuple[str, str, str | None]]
) -> Iterable[str]:
    """Each turn is over before the next begins: one lane per session."""
    current: str | None = None
    for kind, text, _ in journal:
        if kind == "inbound":
            if current is not None:
                yield f"{key}: {text} begins while {current} is in progress"
            current = text
        elif kind == "run-over":
            current = None


def _prompts(calls: Sequence[Call], book: Book) -> Iterable[str]:
    """A model was shown something else than the transcript up to the turn."""
    orders = {
        key: [text for kind, text, _ in journal if kind == "inbound"]
        for key, journal in book.journals.items()
    }
    session = {marker: key for key, order in orders.items() for marker in order}
    for call in calls:
        key = session.get(call.marker)
        if key is None:
            yield f"{call.marker}: asked, but in no transcript"
            continue
        before = orders[key][: orders[key].index(call.marker)]
        expected = [pair for m in before for pair in (("user", m), ("assistant", m))]
        if [*call.turns] != [*expected, ("user", call.marker)]:
            yield f"{call.marker}: the prompt was {call.turns}"


# --- reading


def marker_of(text: str) -> str:
    """The marker in *text*, or *text* itself."""
    found = _MARKER.search(text)
    return found[1] if found else text


def read_calls(path: Path) -> list[Call]:
    """What the fake provider wrote down; a system message is not part of the talk."""
    lines = map(orjson.loads, path.read_bytes().splitlines())
    return [
        Call(
            line["marker"],
            line["at"],
            tuple((role, mark) for role, mark in line["turns"] if role != "system"),
        )
        for line in lines
        if "call" in line
    ]


def read_book(ledger: Path) -> Book:
    """A copy of *ledger* and its write-ahead log, read. The node must be dead or idle."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / ledger.name
        for ending in ("-wal", ""):
            source = ledger.with_name(ledger.name + ending)
            if source.exists():
                shutil.copy(source, copy.with_name(copy.name + ending))
        connection = sqlite3.connect(copy)
        try:
            sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if sound != "ok":
                msg = f"the ledger is damaged: {sound}"
                raise AssertionError(msg)
            return _read(connection)
        finally:
            connection.close()


def _read(connection: sqlite3.Connection) -> Book:
    journals: dict[str, list[tuple[str, str, str | None]]] = defaultdict(list)
    events = connection.execute(
        "SELECT key, kind, body, run_id, events.seq FROM events "
        "JOIN sessions ON sessions.id = events.session ORDER BY session, events.seq"
    )
    for key, kind, body, run_id, seq in events:
        journal = journals[key]
        journal.append((kind, _said(kind, body), run_id))
        if len(journal) != seq:
            msg = f"{key}: event {seq} stands at place {len(journal)}"
            raise AssertionError(msg)
    runs = connection.execute("SELECT run_id, state, outcome, text FROM runs")
    inbox = connection.execute("SELECT body, run_id FROM inbox ORDER BY id")
    return Book(
        accepted={_text(orjson.loads(body)["messages"]): run for body, run in inbox},
        runs={run_id: Run(run_id, *rest) for run_id, *rest in runs},
        journals={key: tuple(journal) for key, journal in journals.items()},
    )


def _said(kind: str, body: bytes) -> str:
    known = orjson.loads(body)
    if kind == "inbound":
        return _text(known["messages"])
    if kind == "answered":
        return _text([known["message"]])
    return ""


def _text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The marker of the last of *messages*."""
    parts = messages[-1]["parts"] if messages else []
    return marker_of("".join(part.get("text", "") for part in parts))


def waiting_now(ledger: Path) -> int:
    """How many turns are not over, asked of a ledger that a node has open."""
    connection = sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        return connection.execute(
            "SELECT (SELECT count(*) FROM inbox WHERE taken_at IS NULL)"
            " + (SELECT count(*) FROM runs WHERE state = 'running')"
        ).fetchone()[0]
    finally:
        connection.close()
