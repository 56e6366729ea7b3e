"""``beamclaw top``: the processes of a node on the whole terminal, live."""

import argparse
import os
import select
import shutil
import sys
import termios
import tty
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

from beamclaw.cli.client import Connection, Gone, result_of
from beamclaw.cli.output import CommandError, is_terminal, result, result_json
from beamclaw.cli.place import place
from beamclaw.cli.top_view import View, keys, picture

# The other screen, without a cursor; and back.
_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
# Clears what stood behind each line, and below the last.
_LINE: Final = "\x1b[K\r\n"
_BELOW: Final = "\x1b[J"
_WIDE: Final = 120
_ROWS: Final = 200


def run(options: argparse.Namespace) -> int:
    """Show the node until the person leaves."""
    where = place(options)
    live = not (options.once or options.json) and sys.stdin.isatty()
    live = live and is_terminal(sys.stdout)
    params = {
        "every": options.every,
        "tree": True,
        "rows": _ROWS,
        "once": options.once or not (live or options.json),
        "match": options.match,
    }
    view = View(options.sort, match=options.match)
    try:
        with where.connect() as client:
            if live:
                return _watch(client, params, view)
            for event in client.events("look.top", params):
                _print(event, view, as_json=options.json)
    except Gone:
        raise CommandError(f"the node {where} stopped") from None
    return 0


def _print(event: Any, view: View, *, as_json: bool) -> None:
    if as_json:
        result_json(event)
        return
    for line in picture(event, view, _WIDE, _ROWS)[:-1]:
        result(line)


def _watch(client: Connection, params: dict[str, Any], view: View) -> int:
    number = client.begin("look.top", params)
    event: Any = None
    with _screen() as stdin:
        for frame in client.frames(0.5, None, lambda: stdin):
            for key in _typed(stdin):
                view = view.pressed(key)
            if view.over:
                return 0
            if view.match != params["match"]:
                # The picture narrows what is there; the node may have more of them.
                client.cancel(number)
                params = {**params, "match": view.match}
                number = client.begin("look.top", params)
            if frame is not None and frame.get("id") in (number, None):
                if "event" not in frame:
                    result_of(frame)
                    return 0
                event = frame["event"]
            if event is not None:
                _draw(event, view)
    return 0


def _draw(event: Any, view: View) -> None:
    size = shutil.get_terminal_size()
    lines = picture(event, view, size.columns, size.lines)
    text = "\x1b[H" + _LINE.join(lines) + "\x1b[K" + _BELOW
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.buffer.write(text.encode(encoding, "replace"))
    sys.stdout.flush()


def _typed(stdin: int) -> Iterator[str]:
    # Not by a terminal that never blocks: standard output is the same one, and would lose
    # what a slow line has not taken yet.
    if not select.select([stdin], [], [], 0)[0]:
        return
    data = os.read(stdin, 1024)
    # The terminal is gone: nobody can press q any more.
    yield from keys(data.decode(errors="replace")) if data else ("q",)


@contextmanager
def _screen() -> Generator[int]:
    """The other screen, with single keys; everything is put back at the end."""
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    sys.stdout.write(_ENTER)
    sys.stdout.flush()
    try:
        tty.setcbreak(stdin)
        yield stdin
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
