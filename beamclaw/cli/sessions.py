"""``beamclaw sessions …``."""

import argparse
import os
from collections.abc import Callable
from typing import Any

from beamclaw.cli.client import Gone, connect
from beamclaw.cli.history import History
from beamclaw.cli.output import (
    CommandError,
    Row,
    counted,
    result,
    result_as_it_is,
    result_json,
    result_of_others,
    tell,
)
from beamclaw.cli.status import duration
from beamclaw.cli.verbs import Usage
from beamclaw.contracts.shell import data_folder

_SETTINGS = ("label", "model", "thinking", "verbosity")


def list_(options: argparse.Namespace) -> int:
    """Print the conversations."""
    params = {
        "limit": options.limit,
        "archived": options.archived,
        "all": options.all,
    }
    rows = _ask(options, "list", params)
    if options.json:
        result_json(rows)
        return 0
    if not rows:
        result("there are none")
    width = max((len(row["key"]) for row in rows), default=0)
    for row in rows:
        result(f"{row['key']:{width}}  {_line(row)}".rstrip())
    return 0


def _line(row: Row) -> str:
    parts = [f"{duration(max(0.0, row['age']))} ago"]
    if row["open_run"]:
        parts.append("a turn is in progress")
    if row["archived_at"]:
        parts.append("archived")
    parts += [f"{name}={row[name]}" for name in _SETTINGS[1:] if row[name]]
    if row["parent"]:
        parts.append(f"from {row['parent']}")
    label = f"“{row['label']}”  " if row["label"] else ""
    return label + ", ".join(parts)


def set_(options: argparse.Namespace) -> int:
    """Set something, or print what is set."""
    changes: dict[str, str] = {}
    for setting in options.settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise Usage(
                f"beamclaw: {setting!r} is no setting; write NAME=VALUE, as model=demo\n"
                "see: beamclaw sessions set --help"
            )
        changes[name] = value
    found = _ask(options, "patch", {"changes": changes})
    if options.json:
        result_json(found)
        return 0
    settings = [f"{name}={found[name]}" for name in _SETTINGS if found[name]]
    result("\n".join(settings) or "nothing is set")
    return 0


def history(options: argparse.Namespace) -> int:
    """Print what was said."""
    shown = History(every=options.all)
    data = data_folder(os.environ, options.data)
    try:
        with connect(data) as client:
            params = {**_one(options), "all": options.all}
            for event in client.events("sessions.history", params):
                if options.json:
                    result_json(event)
                    continue
                for line in shown.lines(event):
                    result_of_others(line)
    except Gone:
        raise _stopped(options) from None
    return 0


def output(options: argparse.Namespace) -> int:
    """Print what a tool said, as it is: nothing is added, so it may go into a file."""
    data, piece = data_folder(os.environ, options.data), None
    try:
        with connect(data) as client:
            params = {"output": options.output}
            for piece in client.events("sessions.output", params):
                if options.json:
                    result_json(piece)
                else:
                    result_as_it_is(piece["text"])
    except Gone:
        raise _stopped(options) from None
    if piece is not None and piece["kept"] < piece["length"]:
        tell(f"of {piece['length']:,} characters the first {piece['kept']:,} are kept")
    return 0


def reset(options: argparse.Namespace) -> int:
    """Begin a new conversation."""
    return _do(options, "reset", {}, lambda found: f"{found['key']} begins anew")


def rewind(options: argparse.Namespace) -> int:
    """Go back."""
    return _do(
        options,
        "rewind",
        {"to": options.event},
        lambda found: f"{found['key']} goes on behind event {found['to']}",
    )


def fork(options: argparse.Namespace) -> int:
    """Begin another one; its key is the result."""
    params = {"new": options.to, "at": options.at}
    given = {name: value for name, value in params.items() if value is not None}
    return _do(options, "fork", given, lambda found: found["key"])


def archive(options: argparse.Namespace) -> int:
    """Put it away."""
    return _do(options, "archive", {}, lambda found: f"{found['key']} is archived")


def unarchive(options: argparse.Namespace) -> int:
    """Bring it back."""
    return _do(options, "unarchive", {}, lambda found: f"{found['key']} is back")


def delete(options: argparse.Namespace) -> int:
    """Delete it."""
    return _do(options, "delete", {}, lambda found: f"{found['key']} is deleted")


def stop(options: argparse.Namespace) -> int:
    """Stop what it does."""

    def words(found: Row) -> str:
        number = len(found["stopped"])
        return f"{counted(number, 'turn')} stopped" if number else "nothing to stop"

    return _do(options, "stop", {}, words)


def hand_over(options: argparse.Namespace) -> int:
    """Have another agent answer in it."""
    return _do(
        options,
        "hand-over",
        {"to": options.to},
        lambda found: f"{found['key']} is answered by {found['agent']}",
    )


def _do(
    options: argparse.Namespace, method: str, params: Row, words: Callable[[Row], str]
) -> int:
    found = _ask(options, method, params)
    if options.json:
        result_json(found)
    else:
        result(words(found))
    return 0


def _one(options: argparse.Namespace) -> dict[str, object]:
    """Which conversation is meant."""
    params = {"session": getattr(options, "session", None)}
    params["agent"] = getattr(options, "agent", None)
    return {name: value for name, value in params.items() if value is not None}


def _ask(options: argparse.Namespace, method: str, params: Row) -> Any:
    data = data_folder(os.environ, options.data)
    try:
        with connect(data) as client:
            return client.request(f"sessions.{method}", {**_one(options), **params})
    except Gone:
        raise _stopped(options) from None


def _stopped(options: argparse.Namespace) -> CommandError:
    data = data_folder(os.environ, options.data)
    return CommandError(
        f"the node on {data} stopped in this moment; ask again when it is back, what "
        "was done is not done twice"
    )
