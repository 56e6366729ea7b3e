"""``beamclaw dashboard``, ``devices …`` and ``keys …``."""

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from beamclaw.cli.asking import who
from beamclaw.cli.client import Gone, connect
from beamclaw.cli.output import (
    CommandError,
    Row,
    result,
    result_json,
    result_rows,
    tell,
)
from beamclaw.cli.question import visible
from beamclaw.cli.status import duration
from beamclaw.contracts.shell import data_folder

_SPAN: Final = re.compile(r"([0-9]{1,4})([hdw])")
_UNITS: Final = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}
# So much of an id tells two devices apart.
_SHORT: Final = 12


def dashboard(options: argparse.Namespace) -> int:
    """Print a link for a browser."""
    found = _ask(options, "dashboard", {})
    if options.json:
        result_json(found)
        return 0
    result(found["url"])
    tell(
        f"It is good once, for {duration(found['seconds'])}, and signs one browser in "
        f"for {duration(found['session_seconds'])}."
    )
    return 0


def list_devices(options: argparse.Namespace) -> int:
    """Print who waits, and who is paired."""
    found = _ask(options, "devices.list", {})
    if options.json:
        result_json(found)
        return 0
    for row in found["pending"]:
        result(_pending(row))
    for row in found["paired"]:
        result(_paired(row))
    if not found["pending"] and not found["paired"]:
        result("no device is paired, and none waits")
    return 0


def approve(options: argparse.Namespace) -> int:
    """Let one in."""
    row = _one(options, "pending")
    done = _ask(options, "devices.approve", {"id": row["id"]})
    return _tell(options, done, f"{_name(done)} is paired: {_scopes(done)}")


def reject(options: argparse.Namespace) -> int:
    """Send one away."""
    row = _one(options, "pending")
    done = _ask(options, "devices.reject", {"id": row["id"]})
    return _tell(options, done, f"{_name(done)} is sent away")


def remove(options: argparse.Namespace) -> int:
    """Forget one."""
    row = _one(options, "paired")
    done = _ask(options, "devices.remove", {"id": row["id"]})
    return _tell(options, done, f"{_name(done)} is removed{_closed(done)}")


def rename(options: argparse.Namespace) -> int:
    """Call one something."""
    row = _one(options, "paired")
    params = {"id": row["id"], "label": options.label}
    done = _ask(options, "devices.rename", params)
    return _tell(options, done, f"{row['id'][:_SHORT]} is called {_name(done)}")


def rotate(options: argparse.Namespace) -> int:
    """Another token for one."""
    row = _one(options, "paired")
    params = {"id": row["id"], "role": options.role, "scopes": options.scope}
    done = _ask(options, "devices.rotate", params)
    words = f"the token of {_name(row)} is void; it gets another one when it connects"
    return _tell(options, done, f"{words} with the gateway's own{_closed(row)}")


def revoke(options: argparse.Namespace) -> int:
    """No token for one."""
    row = _one(options, "paired")
    done = _ask(options, "devices.revoke", {"id": row["id"], "role": options.role})
    return _tell(options, done, f"the token of {_name(row)} is void{_closed(row)}")


def list_keys(options: argparse.Namespace) -> int:
    """Print the keys."""
    found: list[Row] = _ask(options, "keys.list", {})
    rows = [row for row in found if options.all or row["left"] != 0]
    none = "there is no API key that is good for anything"
    return result_rows(rows, _key, none, as_json=options.json)


def create_key(options: argparse.Namespace) -> int:
    """Make one, and show it."""
    params = {
        "name": options.name,
        "scopes": options.scope or ["operator.write"],
        "seconds": None if options.expires is None else _seconds(options.expires),
    }
    made = _ask(options, "keys.create", params)
    if options.json:
        result_json(made)
        return 0
    result(made["secret"])
    tell(f"this is all there is of it: key {made['key']['id']}, {_scopes(made['key'])}")
    return 0


def revoke_key(options: argparse.Namespace) -> int:
    """Make one void."""
    id_ = options.id
    if id_.startswith("bck_"):  # found somewhere, whole: only its name is sent
        id_ = id_.split("_")[1]
    done = _ask(options, "keys.revoke", {"id": id_})
    return _tell(options, done, f"key {done['id']} ({visible(done['name'])}) is void")


# --- in words


def _pending(row: Row) -> str:
    what = "wants more" if row["known"] else "waits"
    left = duration(row["left"])
    return (
        f"{visible(row['id'])}  {what}: {_name(row)} ({row['device_id'][:_SHORT]}), "
        f"{row['role']}, {_scopes(row)}, from {visible(row['address'])}; {left} left"
    )


def _paired(row: Row) -> str:
    count = row["connected"]
    here = "not connected" if not count else f"{count} connected"
    roles = ", ".join(row["roles"])
    text = f"{row['id'][:_SHORT]}  {_name(row)}, {roles}, {_scopes(row)}, {here}"
    void = [one["role"] for one in row["tokens"] if one["revoked_at"] is not None]
    return f"{text}, no token as {', '.join(void)}" if void else text


def _key(row: Row) -> str:
    text = f"{row['id']}  {visible(row['name'])}  {_scopes(row)}"
    if row["left"] == 0:
        return f"{text}, {'expired' if row['revoked_at'] is None else 'revoked'}"
    if row["left"] is not None:
        text += f", for {duration(row['left'])}"
    unused = row["unused"]
    used = "never used" if unused is None else f"used {duration(unused)} ago"
    return f"{text}, {used}"


def _name(row: Row) -> str:
    names = (row.get("label"), row.get("name"), row.get("client_id"), row.get("id"))
    return visible(next(name for name in names if name))


def _scopes(row: Row) -> str:
    names = [name.removeprefix("operator.") for name in row["scopes"]]
    return visible("+".join(names)) or "no scopes"


def _closed(row: Row) -> str:
    count = row["connected"]
    if not count:
        return ""
    return "; its connection is closed" if count == 1 else f"; {count} are closed"


def _tell(options: argparse.Namespace, value: Row, words: str) -> int:
    if options.json:
        result_json(value)
    else:
        result(words)
    return 0


def _seconds(text: str) -> float:
    found = _SPAN.fullmatch(text)
    if found is None or not int(found[1]):
        raise CommandError(f"--expires wants 12h, 7d or 4w, not {visible(text)!r}", 2)
    return int(found[1]) * _UNITS[found[2]]


# --- the node


def _one(options: argparse.Namespace, group: str) -> Row:
    """The one that is meant: by its id, or by a beginning that no other has."""
    rows: Sequence[Row] = _ask(options, "devices.list", {})[group]
    exact = [row for row in rows if row["id"] == options.id]
    found = exact or [row for row in rows if row["id"].startswith(options.id)]
    if len(found) == 1:
        return found[0]
    thing = "request" if group == "pending" else "device"
    if not found:
        raise CommandError(
            f"there is no {thing} {visible(options.id)!r}; see: beamclaw devices list"
        )
    several = "\n".join(f"  {visible(row['id'])}" for row in found)
    raise CommandError(f"{len(found)} {thing}s begin like that:\n{several}", 2)


def _ask(options: argparse.Namespace, method: str, params: Mapping[str, Any]) -> Any:
    data = data_folder(os.environ, options.data)
    given = {name: value for name, value in params.items() if value is not None}
    try:
        with connect(data) as client:
            return client.request(method, {**given, "by": who()})
    except Gone:
        raise CommandError(
            f"the node on {data} stopped in this moment; look what became of it when it "
            "is back"
        ) from None
