"""``beamclaw config get|set|unset|apply|diff|history|rollback``.

With a node running, that changes its file; without one it is done here, by the same
writer and under the same lock.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import attrs

from beamclaw.cli.asking import who
from beamclaw.cli.client import Client, NoNode, connect
from beamclaw.cli.output import (
    CommandError,
    Row,
    result,
    result_json,
    result_rows,
    tell,
)
from beamclaw.config.document import MAX_BYTES
from beamclaw.config.writing.documents import Order, Refusal
from beamclaw.contracts.shell import data_folder

_STANDARD_INPUT: Final = "-"
_WIDEST: Final = 60


def get(options: argparse.Namespace) -> int:
    """Print the file, or one key."""
    document = _ask(options, "config", {})
    if options.path:
        return _get_key(options, document)
    if options.json:
        result_json(document)
        return 0
    if document["text"] is None:
        raise CommandError(f"{document['path']} is no YAML; see: beamclaw config check")
    tell(f"# {document['path']}" + ("" if document["exists"] else " (there is none)"))
    for included in document["included"]:
        tell(f"# it includes {included}")
    result(document["text"].rstrip())
    return 0


def _get_key(options: argparse.Namespace, document: Row) -> int:
    found: Any = _values(document)
    for name in path_of(options.path):
        if not isinstance(found, Mapping) or name not in found:
            raise CommandError(f"there is no key {options.path}", 2)
        found = found[name]  # pyright: ignore[reportUnknownVariableType] -- JSON
    if options.json or not isinstance(found, str):
        result_json(found)  # pyright: ignore[reportUnknownArgumentType] -- JSON
    else:
        result(found)
    return 0


def _values(document: Row) -> Any:
    if document["values"] is None:
        raise CommandError("the file cannot be used; see: beamclaw config check", 2)
    return document["values"]


def set_(options: argparse.Namespace) -> int:
    """Change one key."""
    value = (
        _read(_STANDARD_INPUT) if options.value == _STANDARD_INPUT else options.value
    )
    text = _patch(options.path, _value(value.strip()))
    return _write(options, {"how": "patch", "text": text})


def _value(text: str) -> str:
    # As it would stand in the file: flow YAML, but plain words need no quotes.
    if text.startswith(("{", "[", '"', "'")) or _is_plain(text):
        return text
    return json.dumps(text, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    number = text.replace(".", "", 1).replace("-", "", 1).isdigit()
    return number or text in ("true", "false")


def unset(options: argparse.Namespace) -> int:
    """Take one key out."""
    return _write(options, {"how": "patch", "text": _patch(options.path, "null")})


def _patch(path: str, value: str) -> str:
    names = [json.dumps(name, ensure_ascii=False) for name in path_of(path)]
    return "".join(f"{{{name}: " for name in names) + value + "}" * len(names)


def path_of(path: str) -> list[str]:
    """The names in *path*; one with a dot in it stands in quotes.

    Raises:
        CommandError: It is none.
    """
    names, rest = list[str](), path
    while rest:
        if rest.startswith('"'):
            try:
                name, end = json.JSONDecoder().raw_decode(rest)
            except ValueError:
                break
            rest = rest[end:]
        else:
            name, _, _ = rest.partition(".")
            rest = rest[len(name) :]
        names.append(name)
        if not rest and all(names):
            return names
        if not rest.startswith(".") or rest == ".":
            break
        rest = rest[1:]
    raise CommandError(f"{path!r} is no key; one is written as gateway.port", 2)


def apply(options: argparse.Namespace) -> int:
    """Replace the whole file."""
    text = _read(options.file)
    return _write(options, {"how": "set", "text": text, "shrink": options.shrink})


def rollback(options: argparse.Namespace) -> int:
    """Put an older file back."""
    return _write(options, {"how": "rollback", "entry": options.entry})


def _write(options: argparse.Namespace, params: Mapping[str, object]) -> int:
    written = _ask(
        options,
        "config.write",
        {**params, "dry": options.dry_run, "note": options.note, "by": who()},
    )
    if options.json:
        result_json(written)
        return 0
    for row in written["changes"]:
        result(_change(row))
    for warning in written["warnings"]:
        tell(f"warning: {warning['path']}: {warning['message']}")
    if options.dry_run:
        result("nothing was written (--dry-run)")
    elif not written["changes"]:
        done = "" if written["entry"] is None else "written; "
        result(f"{written['path']}: {done}nothing is different")
    else:
        result(f"{written['path']}: written; {_when(written)}")
    return 0


def _when(written: Row) -> str:
    """When it holds, in words."""
    left = [change["path"] for change in written["left"]]
    if written["trouble"]:
        return f"the node goes on with what it had: {written['trouble']}"
    if not left:
        return "it holds now"
    if len(left) == len(written["changes"]):
        return "it holds at the next start of the node"
    return f"it holds now, but for {', '.join(left)}: at the next start of the node"


def diff(options: argparse.Namespace) -> int:
    """Print what is different."""
    if options.entry is None:
        document = _ask(options, "config", {})
        _values(document)
        rows = document["waiting"]
        none = "nothing waits for the next start"
    else:
        rows = _ask(options, "config.changes", {"entry": options.entry})
        none = "nothing is different"
    return result_rows(rows, _change, none, as_json=options.json)


def _change(row: Row) -> str:
    before, after = _short(row["before"]), _short(row["after"])
    if before == after:  # two secrets
        return f"{row['path']}: another one"
    return f"{row['path']}: {before} -> {after}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def history(options: argparse.Namespace) -> int:
    """Print the entries."""
    rows = _ask(options, "config.history", {})
    return result_rows(rows, _entry, "nothing was replaced yet", as_json=options.json)


def _entry(row: Row) -> str:
    at = datetime.fromtimestamp(row["at"]).astimezone()
    words = f"{row['number']:>4}  {at:%Y-%m-%d %H:%M}  {row['how']} by {row['by']}"
    return words + (f": {row['note']}" if row["note"] else "")


def _read(file: str) -> str:
    try:
        if file == _STANDARD_INPUT:
            return sys.stdin.read(MAX_BYTES + 1)
        with Path(file).open(encoding="utf-8-sig") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}", 2) from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not UTF-8 text", 2) from None


# --- the node, or this process in its place


def _ask(options: argparse.Namespace, method: str, params: Mapping[str, object]) -> Any:
    with suppress(NoNode):
        if options.config is None:
            with _connected(options) as client:
                return client.request(method, params)
    try:
        return _HERE[method](options, params)
    except Refusal as refusal:
        raise CommandError(str(refusal)) from None


def _connected(options: argparse.Namespace) -> Client:
    return connect(data_folder(os.environ, options.data))


def _writer(options: argparse.Namespace) -> Any:
    from beamclaw.config.loader import file_of  # noqa: PLC0415 -- only without a node
    from beamclaw.config.writing.writer import Writer, default_file  # noqa: PLC0415
    from beamclaw.contracts.outside import Outside  # noqa: PLC0415

    data = data_folder(os.environ, options.data)
    file = file_of(os.environ, options.config, data) or default_file(data)
    return Writer(
        running=None,
        file=file,
        data=data,
        variables=dict(os.environ),
        options={},
        wall=Outside().wall,
    )


def _document(options: argparse.Namespace, params: Mapping[str, Any]) -> Any:
    del params
    return attrs.asdict(_writer(options).document())


def _written(options: argparse.Namespace, params: Mapping[str, Any]) -> Any:
    return attrs.asdict(_writer(options).write(Order(**params)))


def _entries(options: argparse.Namespace, params: Mapping[str, Any]) -> Any:
    del params
    return [entry.shown for entry in _writer(options).history()]


def _changes(options: argparse.Namespace, params: Mapping[str, Any]) -> Any:
    found = _writer(options).changes_since(params["entry"])
    return [attrs.asdict(change) for change in found]


_HERE: Final[Mapping[str, Callable[[argparse.Namespace, Mapping[str, Any]], Any]]] = {
    "config": _document,
    "config.write": _written,
    "config.history": _entries,
    "config.changes": _changes,
}
