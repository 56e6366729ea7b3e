"""``beamclaw logs`` and ``beamclaw audit``."""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, cast

from beamclaw.cli.client import Client, Gone, Refused, connect
from beamclaw.cli.output import CommandError, Row, result, tell
from beamclaw.cli.usage import when
from beamclaw.contracts import audit
from beamclaw.contracts.shell import data_folder

Wanted = Callable[[Row], bool]
_LEVELS: Final = ("debug", "info", "warning", "error")
_HEAD: Final = ("time", "level", "event", "traceback")
# Seconds between two looks while following.
_TICK: Final = 0.5
_LINES: Final = 5_000


def run(options: argparse.Namespace) -> int:
    """Print the last lines of the node's log, and those that come."""
    since = None if options.since is None else _moment(options.since, "logs")
    wanted = wants(since=since, level=options.level, event=options.event)
    data = data_folder(os.environ, options.data)
    try:
        with connect(data) as client:
            _logs(client, wanted, options)
    except Gone:
        raise CommandError(f"the node on {data} stopped in this moment") from None
    except Refused as refused:
        raise CommandError(str(refused)) from None
    return 0


def _logs(client: Client, wanted: Wanted, options: argparse.Namespace) -> None:
    found = client.request("logs", {"lines": _LINES})
    rows = [row for row in _rows(found["lines"]) if wanted(row)]
    _print(rows[-options.lines :], as_json=options.json)
    if not rows:
        _say_if_unknown(options.event)
    if not options.follow:
        return
    for frame in client.frames(_TICK):
        if frame is None:
            found = client.request("logs", {"cursor": found["cursor"], "lines": _LINES})
            if found["skipped"]:
                result(f"... {found['skipped']:,} bytes were too many to follow")
            _print(filter(wanted, _rows(found["lines"])), as_json=options.json)


def audited(options: argparse.Namespace) -> int:
    """Print who did what. It is read from the files: the node need not run."""
    since = None if options.since is None else _moment(options.since, "audit")
    wanted = wants(since=since, level="debug", event=options.event)
    data = data_folder(os.environ, options.data)
    try:
        rows = [row for row in _kept(data) if wanted(row)]
    except OSError as error:
        raise CommandError(f"the audit log of {data} cannot be read: {error}") from None
    _print(rows[-options.lines :], as_json=options.json)
    if not rows:
        _say_if_unknown(options.event)
    return 0


def _kept(data: Path) -> Iterator[Row]:
    for file in audit.files(data):
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from _rows(lines)


# --- which


def wants(*, since: float | None, level: str, event: str | None) -> Wanted:
    """Whether a row is new enough, important enough, and of that event.

    *event* is a name, the beginning of one, or a pattern with ``*``.
    """
    least = _LEVELS.index(level)

    def wanted(row: Row) -> bool:
        if row["level"] in _LEVELS and _LEVELS.index(row["level"]) < least:
            return False
        if since is not None and _at(row) < since:
            return False
        return event is None or _is(str(row["event"]), event)

    return wanted


def _is(name: str, wanted: str) -> bool:
    if "*" in wanted:
        return fnmatchcase(name, wanted)
    names = (wanted, f"beamclaw.{wanted}")
    return any(name == each or name.startswith(f"{each}.") for each in names)


def _say_if_unknown(wanted: str | None) -> None:
    """Nothing was found: perhaps since there is no such event."""
    if wanted is None:
        return
    # They take a while to load, and are seldom asked.
    from beamclaw.config.structure import nearest  # noqa: PLC0415
    from beamclaw.telemetry.contract import EVENTS  # noqa: PLC0415

    if not any(_is(name, wanted) for name in EVENTS):
        short = [name.removeprefix("beamclaw.") for name in EVENTS]
        hint = nearest(wanted.removeprefix("beamclaw."), short)
        tell(f"the node has no event {wanted!r}{hint}")


def _at(row: Row) -> float:
    try:
        return datetime.fromisoformat(str(row["time"])).timestamp()
    except ValueError:
        return 0.0


def _moment(text: str, verb: str) -> float:
    given = when(text, verb)
    now = time.time()  # noqa: TID251 -- a command is outside
    return given["since"] if "since" in given else now - given["seconds"]


# --- how


def _rows(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # cut by a crash
        if isinstance(row, dict) and {"time", "level", "event"} <= row.keys():
            yield cast("Row", row)


def _print(rows: Iterable[Row], *, as_json: bool) -> None:
    for row in rows:
        result(json.dumps(row) if as_json else words(row))


def words(row: Row) -> str:
    """A row for a person; what a terminal would obey was escaped by who wrote it."""
    at = datetime.fromtimestamp(_at(row), UTC).astimezone()
    fields = [
        f"{name}={_value(value)}" for name, value in row.items() if name not in _HEAD
    ]
    head = f"{at:%Y-%m-%d %H:%M:%S} {row['level']:<7} {row['event']}"
    text = _unseen(" ".join([head, *fields]))
    for line in str(row.get("traceback", "")).splitlines():
        text += f"\n    {_unseen(line)}"
    return text


def _value(value: object) -> str:
    text = _plain(value)
    return json.dumps(text) if not text or " " in text or '"' in text else text


def _plain(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_plain, cast('list[object]', value)))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _unseen(text: str) -> str:
    return "".join(
        char if char.isprintable() else json.dumps(char)[1:-1] for char in text
    )
