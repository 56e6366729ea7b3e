"""``beamclaw approvals …``."""

import argparse
import os
import select
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from beamclaw.cli.asking import who
from beamclaw.cli.client import Gone, Refused, connect
from beamclaw.cli.output import CommandError, Row, result, result_json, result_rows
from beamclaw.cli.question import lines, over, short, visible
from beamclaw.cli.status import duration
from beamclaw.contracts.shell import data_folder

# Seconds between two looks, while somebody watches.
_LOOK: Final = 1.0


def list_(options: argparse.Namespace) -> int:
    """Print what is asked."""
    rows = _questions(options)
    if options.watch:
        return _watch(options, rows)
    return result_rows(rows, short, "nothing is asked", as_json=options.json)


def _watch(options: argparse.Namespace, rows: Sequence[Row]) -> int:
    """Each question as it comes, and when it is over, until Ctrl-C."""
    known: dict[str, Row] = {}
    while True:
        here = {row["wait_id"]: row for row in rows}
        for id_ in known.keys() - here.keys():
            _tell(options, {"over": id_}, f"{visible(id_)}  {over(None, '')}")
        for id_ in here.keys() - known.keys():
            _tell(options, {"asked": here[id_]}, short(here[id_]))
        known = here
        select.select([], [], [], _LOOK)
        rows = _questions(options)


def _tell(options: argparse.Namespace, value: Row, words: str) -> None:
    if options.json:
        result_json(value)
    else:
        result(words)


def show(options: argparse.Namespace) -> int:
    """Print one question."""
    row = _one(options)
    if options.json:
        result_json(row)
        return 0
    for line in lines(row):
        result(line)
    return 0


def allow(options: argparse.Namespace) -> int:
    """Agree."""
    return _answer(options, "allow", always=options.always)


def deny(options: argparse.Namespace) -> int:
    """Say no."""
    return _answer(options, "deny", text=options.why)


def _answer(options: argparse.Namespace, verdict: str, **more: object) -> int:
    row = _one(options)
    params = {
        "wait_id": row["wait_id"],
        "session_key": row["session_key"],
        "verdict": verdict,
        "by": who(),
        **more,
    }
    _ask(options, "answer", params)
    words = {"allow": "allowed", "deny": "refused"}[verdict]
    always = " from now on" if more.get("always") else ""
    done = {"wait_id": row["wait_id"], "verdict": verdict, **more}
    _tell(options, done, f"{words}{always}: {visible(row['question'])}")
    return 0


def grants(options: argparse.Namespace) -> int:
    """Print what was allowed for good."""
    params: dict[str, object] = {"revoked": options.all}
    if options.agent is not None:
        params["agent"] = options.agent
    rows = _ask(options, "grants", params)
    none = "nothing is allowed for good"
    return result_rows(rows, _grant, none, as_json=options.json)


def _grant(row: Row) -> str:
    grant = row["grant"]
    said = visible(grant["words"] or f"{grant['pattern']} {grant['arguments']}")
    ago = duration(max(0.0, row["age"]))
    text = f"{row['id']}  {row['agent']} {grant['tool']}  {said}"
    text += f"  (by {visible(row['by'])}, {ago} ago)"
    revoked = row["revoked_at"] is not None
    return f"{text}, revoked by {visible(row['revoked_by'])}" if revoked else text


def revoke(options: argparse.Namespace) -> int:
    """Take one back."""
    done = _ask(options, "revoke", {"id": options.number, "by": who()})
    if not done:
        raise CommandError(f"there is no grant {options.number} that holds")
    _tell(options, {"id": options.number}, f"grant {options.number} is revoked")
    return 0


# --- the node


def _questions(options: argparse.Namespace) -> list[Row]:
    return _ask(options, "questions", {})


def _one(options: argparse.Namespace) -> Row:
    """The question that is meant: by its id, or by a beginning that no other has."""
    rows = _questions(options)
    ids = {visible(row["wait_id"]): row for row in rows}
    begin = [row for id_, row in ids.items() if id_.startswith(options.id)]
    found = [ids[options.id]] if options.id in ids else begin
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(
            f"nothing waits for an answer as {visible(options.id)!r}: it was answered, "
            "has expired, or never was; see: beamclaw approvals list"
        )
    several = "\n".join(f"  {visible(row['wait_id'])}" for row in found)
    raise CommandError(f"{len(found)} questions begin like that:\n{several}", 2)


def _ask(options: argparse.Namespace, method: str, params: Mapping[str, Any]) -> Any:
    data: Path = data_folder(os.environ, options.data)
    try:
        with connect(data) as client:
            return client.request(method, params)
    except Refused as error:
        if error.kind in ("answered", "late"):
            raise CommandError(f"too late: {error}") from None
        raise
    except Gone:
        raise CommandError(
            f"the node on {data} stopped in this moment; ask again when it is back, an "
            "answer counts once"
        ) from None
