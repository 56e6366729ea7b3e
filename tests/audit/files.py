"""P2, of files: what a call says it has changed is changed, once and whole.

Each call has a mark in what it writes that is in no other's. One that edits or patches
adds it, as a line; one that writes a file writes nothing else.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from tests.audit.book import Row
from tests.audit.effects import calls_of
from tests.audit.known import Known, rule

_MARK: Final = re.compile(r"<<[\w.]+>>")
_FILE: Final = re.compile(r"^\*\*\* (?:Add|Update) File: (.*)$", re.MULTILINE)
_PART: Final = re.compile(r"only a part was done: .* Changed are: (.*)$", re.DOTALL)
# With these nothing of it is there; whether something is with others, nobody was told.
_UNDONE: Final = ("error", "refused")


def _changes(
    known: Known, *tools: str
) -> Iterator[tuple[Row, dict[str, Any], list[Row], Row | None]]:
    """Each call of these: its event, what it was given, its intents, its result."""
    for event, call, intents, results in calls_of(known):
        if call["name"] in tools:
            given = orjson.loads(call["arguments"])
            yield event, given, intents, results[0] if results else None


def _added(given: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The mark of an edit or a patch, and the files that get it."""
    if "input" in given:
        return _mark(given["input"]), _FILE.findall(given["input"])
    return _mark(given["newText"]), [given["path"]]


def _outcome(result: Row | None) -> str | None:
    """As it was told; what somebody has killed in the middle says that nobody knows."""
    if result is None:
        return None
    doubt = "not known" in result["body"]["result"]["text"]
    return "unknown" if doubt else result["body"]["outcome"]


def _mark(text: str) -> str:
    found = _MARK.search(text)
    return found[0] if found else ""


def _told(text: str, path: str) -> bool:
    """Whether a call that has failed in a part says that *path* is changed."""
    part = _PART.match(text)
    return part is not None and f"/{path}" in part[1]


@rule
def changed_once(known: Known) -> Iterator[str]:
    """An edit or a patch made twice, or half, or not as it was told."""
    if known.files is None:
        return
    lines = {path: text.split("\n") for path, text in known.files.items()}
    for event, given, _, result in _changes(known, "edit", "apply_patch"):
        mark, paths = _added(given)
        times = [lines.get(path, []).count(mark) for path in paths]
        outcome = _outcome(result)
        where = f"{event['key']} {mark}: {outcome}, and it is in {paths}"
        if max(times) > 1:
            yield f"{where} {times} times"
        if outcome == "ok" and min(times) < 1:
            yield f"{where} {times} times"
        if outcome in _UNDONE:
            text = "" if result is None else result["body"]["result"]["text"]
            told = [_told(text, path) for path in paths]
            if [bool(count) for count in times] != told:
                yield f"{where} {times} times; told was {text!r}"


@rule
def written_whole(known: Known) -> Iterator[str]:
    """A file that is not whole what one call has written, or a call's that was undone."""
    if known.files is None:
        return
    writes: dict[str, list[tuple[str, int, str | None, int | None, str]]] = {}
    for _, given, intents, result in _changes(known, "write"):
        began = intents[0]["id"] if intents else 0
        outcome = _outcome(result)
        ended = None if result is None else result["id"]
        told = "" if result is None else result["body"]["result"]["text"]
        call = given["content"], began, outcome, ended, told
        writes.setdefault(given["path"], []).append(call)
    for path, calls in writes.items():
        text = known.files.get(path)
        if text is None:
            if any(outcome == "ok" for _, _, outcome, *_ in calls):
                yield f"{path}: it was written, and is not there"
            continue
        made = [call for call in calls if call[0] == text]
        if not made:
            yield f"{path}: nobody has written {text!r}"
            continue
        _, _, outcome, ended, told = made[0]
        if outcome in _UNDONE and not _told(told, path):
            yield f"{path}: {text!r} is there, of a call that was {outcome}"
        for other, began, good, *_ in calls:
            if ended is not None and began > ended and good == "ok":
                yield f"{path}: {other!r} was written after {text!r}, and is not there"


@rule
def changed_by_calls(known: Known) -> Iterator[str]:
    """A mark in a file of a call that nobody has made."""
    if known.files is None or known.unwanted:  # what is deleted tells nothing
        return
    made = {
        _mark(str(given.get("content") or given.get("input") or given.get("newText")))
        for _, given, intents, _ in _changes(known, "write", "edit", "apply_patch")
        if intents
    }
    for path, text in known.files.items():
        for mark in dict.fromkeys(_MARK.findall(text)):
            if mark not in made:
                yield f"{path}: {mark} is of no call that was begun"
