"""How commands talk to a running node: its socket, and the frames on it.

One JSON object per line, both ways. A connection begins with ``hello``, which names the
protocol's version. A request has an ``id``, a ``method`` and ``params``; it is answered
by any number of ``{"id", "event"}`` and then one ``{"id", "result"}`` or
``{"id", "error": {"code", "message"}}``. Requests of one connection run side by side; a
connection that ends takes its requests with it, never the turns they follow. The method
``cancel`` ends the request whose ``id`` is in its params; nothing answers it.

Commands start in a fraction of a second, so nothing heavy is imported here.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

VERSION: Final = 1
SOCKET_NAME: Final = "node.sock"
# A person's whole clipboard fits; more than that in one line is a mistake or an attack.
MAX_FRAME: Final = 8 * 1024 * 1024
# What the kernel takes for a socket's path, without the final zero (Linux has 107).
MAX_PATH: Final = 103

# Codes of errors that a command treats in its own way; others are words for a person.
UNAVAILABLE: Final = "unavailable"  # a part of the node is down: ask again
UNKNOWN_RUN: Final = "unknown-run"

Frame = dict[str, Any]


class FrameError(Exception):
    """What came is no frame; the connection has to end, its other side is not ours."""


class BadSocketPath(Exception):  # noqa: N818 -- a situation
    """The data folder's path is too long for a socket in it."""


def data_folder(variables: Mapping[str, str], given: str | Path | None = None) -> Path:
    """The data folder: *given* (``--data``), ``BEAMCLAW_DATA``, ``~/.beamclaw``.

    No configuration names it: commands find a node without reading one.
    """
    said = Path(given or variables.get("BEAMCLAW_DATA") or "~/.beamclaw")
    if said.parts[:1] == ("~",):
        home = variables.get("HOME")
        said = Path(home, *said.parts[1:]) if home else said.expanduser()
    return Path(os.path.abspath(said))  # noqa: PTH100 -- resolve() would follow links


def socket_path(data: Path) -> Path:
    """Where the node on *data* listens for commands.

    Raises:
        BadSocketPath: No socket can be there.
    """
    path = data / SOCKET_NAME
    length = len(os.fsencode(path))
    if length > MAX_PATH:
        raise BadSocketPath(
            f"the data folder's path is too long for a socket in it ({path} has "
            f"{length} bytes, {MAX_PATH} are possible); choose a shorter one with --data"
        )
    return path


def encode(frame: Mapping[str, object]) -> bytes:
    """The frame as it goes over the socket."""
    text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate in a model's text is no reason to fail.
    return text.encode("utf-8", "backslashreplace") + b"\n"


class Decoder:
    """Bytes in whatever pieces to frames."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that *data* completes.

        Raises:
            FrameError: It is none, or is longer than the limit.
        """
        *lines, rest = data.split(b"\n")
        frames: list[Frame] = []
        for line in lines:
            frames += self._frame(line)
        self._keep(rest)
        return frames

    def _frame(self, end: bytes) -> list[Frame]:
        self._keep(end)
        line = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return [_object(line)] if line.strip() else []

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise FrameError(f"a frame is longer than {self._limit} bytes")
        if piece:
            self._pieces.append(piece)


def _object(line: bytes) -> Frame:
    try:
        frame: object = json.loads(line)
    except (ValueError, RecursionError):
        raise FrameError("a frame is one line of JSON in UTF-8") from None
    if not isinstance(frame, dict):
        raise FrameError("a frame is a JSON object")
    return cast("Frame", frame)


def nested(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The tree of which *rows* are the processes, each behind the one above it.

    ``above`` of a row is the number of that one among them. ``hidden`` is, in a row, how
    many children it has, and in the tree, how many of them are not shown.
    """
    made: list[dict[str, Any]] = []
    for row in rows:
        process: dict[str, Any] = {**row, "children": []}
        above: int | None = process.pop("above")
        made.append(process)
        if above is not None:
            made[above]["children"].append(process)
    for process in made:
        process["hidden"] = max(0, process["hidden"] - len(process["children"]))
    return made[0]


def hello() -> Frame:
    """The first request of a connection."""
    return {"id": 0, "method": "hello", "params": {"version": VERSION}}
