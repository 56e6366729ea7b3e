"""P1, of commands in the background: their end is told, once, and as it was.

A command has a mark in its line, and says it first. What became of it is known from
itself (:class:`~tests.audit.known.Program`), not from what held it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from signal import Signals
from typing import Final

import attrs
import orjson

from tests.audit.book import Row, marker_of, said
from tests.audit.effects import BACKGROUND, calls_of
from tests.audit.known import Known, Program, rule

_NEWS: Final = re.compile(
    r"\[The command (\S+) is over: (.*?)\.\]\n([^\n]*)(?:\nIts output ends with:\n(.*))?",
    re.DOTALL,
)
_LOST: Final = "lost: the node has ended meanwhile"
_NOT_TYPED: Final = ("nothing was written", "there is no command")
_MOST_TOLD: Final = 2_000


@attrs.frozen
class Told:
    """One message about the end of a command: how it came, its line, its last words."""

    id: str
    how: str
    mark: str
    tail: str


def _told(known: Known) -> Iterator[tuple[Row, Told | None]]:
    """Each such message; None: it is not in the words that were agreed on."""
    for row in known.book.inbox:
        if row["source"] == "command" and row["body"]["messages"]:
            text = said(row["body"]["messages"][-1])
            if (found := _NEWS.fullmatch(text)) is None:
                yield row, None
            else:
                id_, how, title, tail = found.groups(default="")
                yield row, Told(id_, how, marker_of(title), tail)


@rule
def commands_told(known: Known) -> Iterator[str]:
    """A command in the background whose end its session was not told of, or twice."""
    told = Counter(found.id for _, found in _told(known) if found is not None)
    yield from (f"{id_}: told {n} times" for id_, n in told.items() if n > 1)
    noted = {row["command_id"] for row in known.book.commands}
    for event in known.book.of_kind("tool-ended"):
        found = BACKGROUND.match(event["body"]["result"]["text"])
        if found and not told[found[1]] and found[1] not in noted:
            yield f"{event['key']}: nobody will ever tell of {found[1]}"
    for row in known.book.commands:
        yield f"{row['command_id']}: all work is done, and it was not told"


@rule
def ends_true(known: Known) -> Iterator[str]:
    """The end of a command, told otherwise than it came."""
    for row, found in _told(known):
        if found is None:
            yield f"{row['external_id']}: told in other words: {row['body']}"
        elif known.programs is not None:
            wrong = _wrong(known, found, known.programs.get(found.mark))
            yield from (f"{found.id} {found.mark}: {each}" for each in wrong)


def _wrong(known: Known, told: Told, program: Program | None) -> Iterator[str]:
    if told.how.startswith("lost: "):
        yield from _wrongly_lost(known, told)
    elif told.how.startswith("not started: "):
        if program is not None and program.said:
            yield f"told that it is {told.how}, and it has said {program.said!r}"
    elif told.how.startswith("ended by order"):
        # Whoever was ended may not have come to write anything down.
        yield from _wrongly_ended(known, told, program or Program(said=None))
    elif program is None:
        yield f"told that it ended with {told.how}, and there was no such program"
    elif told.how.startswith("ended"):
        yield from _wrongly_ended(known, told, program)
    else:
        if told.how.partition("; ")[0] != _own(program):
            yield f"told that it ended with {told.how}, and it did with {_own(program)}"
        words = told.tail if program.said is None else program.said.rstrip("\n")
        if told.tail != words[-_MOST_TOLD:]:
            yield f"its output ends with {told.tail!r}, and it has said {words!r}"


def _wrongly_lost(known: Known, told: Told) -> Iterator[str]:
    if told.how != _LOST:
        if known.cuts in {None, 0}:
            yield f"told that it is {told.how}, and nobody died"
        return
    if not _may_be_lost(known, told.id):
        yield "told that it was lost with the node, which has not ended since"
    if told.tail:
        yield f"lost with the node, and its output ends with {told.tail!r}"


def _wrongly_ended(known: Known, told: Told, program: Program) -> Iterator[str]:
    if told.how.startswith("ended by order") and told.id not in _ordered(known):
        yield "told that it was ended by order, and nobody gave one"
    code = f"(exit code {program.code})"
    if "(exit code" in told.how and code not in told.how:
        yield f"told that it {told.how}, and it did with {_own(program)}"
    if program.said is not None and not program.said.startswith(told.tail):
        yield f"its output ends with {told.tail!r}, and it has said {program.said!r}"


@rule
def typed_once(known: Known) -> Iterator[str]:
    """A command has read twice what was typed once, or not at all, or in vain."""
    read = Counter(effect.text for effect in known.effects if effect.tool == "typed")
    yield from (f"{text}: read {n} times" for text, n in read.items() if n > 1)
    given = dict[str, str]()
    for _, call, intents, results in calls_of(known):
        arguments = orjson.loads(call["arguments"])
        if call["name"] == "process" and intents:
            told = results[0]["body"]["result"]["text"] if results else ""
            given[str(arguments.get("text"))] = told
    for text in read:
        if text not in given:
            yield f"{text}: it was read, and nobody has typed it"
        elif given[text].startswith(_NOT_TYPED):
            yield f"{text}: nothing was written, it was told, and it was read"


def _own(program: Program) -> str:
    """How it came to its end by its own word."""
    if program.signal is not None:
        return f"signal {Signals(program.signal).name}"
    return "no end" if program.code is None else f"exit code {program.code}"


def _may_be_lost(known: Known, id_: str) -> bool:
    """Whether the node died while it was noted; where processes die too, whether any did."""
    if known.cuts is not None:
        return known.cuts > 0
    return any(
        row["command_id"] == id_ for kill in known.kills for row in kill.book.commands
    )


def _ordered(known: Known) -> set[str]:
    """The commands that a model wanted ended."""
    given = [
        orjson.loads(call["arguments"])
        for _, call, intents, _ in calls_of(known)
        if call["name"] == "process" and intents
    ]
    return {
        str(each.get("sessionId"))
        for each in given
        if each.get("action") in {"kill", "remove"}
    }
