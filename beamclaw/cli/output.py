"""What goes to standard output and standard error, and in which form."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

# What a node answers, or one of several.
Row = Mapping[str, Any]

# What a terminal would obey instead of showing it; new line and tab may stay.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class CommandError(Exception):
    """The command cannot be done; *code* is the exit code, the message for a person."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def tell(text: str) -> None:
    """A line for a person, on standard error."""
    print(text, file=sys.stderr, flush=True)


def result(text: str) -> None:
    """A line of the result, on standard output."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:  # a terminal that is not UTF-8
        encoding = sys.stdout.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding), flush=True)


def harmless(text: str) -> str:
    """*text*, which anybody may have written, without what a terminal would obey."""
    return _CONTROL.sub("", text)


def result_of_others(text: str) -> None:
    """A line of the result that anybody may have written."""
    result(harmless(text) if sys.stdout.isatty() else text)


def result_as_it_is(text: str) -> None:
    """A part of the result, with no line's end behind it; a file gets all, as UTF-8."""
    encoding = "utf-8"
    if sys.stdout.isatty():
        text, encoding = harmless(text), sys.stdout.encoding or "ascii"
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode(encoding, "backslashreplace"))
    sys.stdout.flush()


def result_json(value: object) -> None:
    """One line of JSON, on standard output."""
    print(json.dumps(value), flush=True)


def result_rows(
    rows: Sequence[Row], line: Callable[[Row], str], none: str, *, as_json: bool
) -> int:
    """A line of the result for each of *rows*, or *none*; else all of them as JSON."""
    if as_json:
        result_json(rows)
        return 0
    for row in rows:
        result(line(row))
    if not rows:
        result(none)
    return 0


def counted(number: int, thing: str) -> str:
    """A number of things: ``1 turn``, ``2 turns``, ``1,000 turns``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at *stream*, on a terminal that can do more than print."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def aligned(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines: names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        first, *others = zip(cells, widths, strict=True)
        yield "  ".join(
            [f"{first[0]:{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
        ).rstrip()
