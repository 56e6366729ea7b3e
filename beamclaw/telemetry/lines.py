"""One line of the log: what it looks like, and what must never stand in it."""

import json
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, cast

import attrs

from beamclaw.config.redactor import Redactor
from beamclaw.config.schema import Level
from beamclaw.values import frozen

LEVELS: Final[Mapping[Level, int]] = {
    "debug": 10,
    "info": 20,
    "warning": 30,
    "error": 40,
}
MAX_FIELD: Final = 2_000
MAX_TRACEBACK: Final = 20_000
# Frames of one traceback: the innermost ones say where it was.
MAX_FRAMES: Final = 25

# Control characters (terminals obey them), line and paragraph separators, and what
# turns the direction of writing round.
UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


@frozen(kw_only=True)
class Line:
    """One event as it goes to the log.

    Attributes:
        error: Is shown with its traceback.
        trace: Of the turn that it belongs to; for programs, not for a terminal.
    """

    at: float
    level: Level
    event: str
    fields: Mapping[str, object] = attrs.field(factory=dict[str, object])
    error: BaseException | None = None
    trace: Mapping[str, str] = attrs.field(factory=dict[str, str])


def escape(text: str) -> str:
    """*text* as one line that no terminal obeys."""
    return UNSEEN.sub(lambda match: _escaped(match[0]), text)


def _escaped(char: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char) or (
        f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"  # noqa: PLR2004
    )


def as_text(line: Line, redactor: Redactor) -> str:
    """For a terminal: time, level, event, fields; a traceback below, indented."""
    when = datetime.fromtimestamp(line.at, UTC).astimezone()
    parts = [f"{when:%H:%M:%S}.{when.microsecond // 1000:03d}", f"{line.level:<7}"]
    parts.append(escape(redactor.scrub(line.event)))
    for name, value in line.fields.items():
        shown = escape(_words(value, redactor))
        quote = not shown or " " in shown or '"' in shown
        parts.append(f"{escape(name)}={json.dumps(shown) if quote else shown}")
    text = " ".join(parts) + "\n"
    for row in _traceback(line.error, redactor).splitlines():
        text += f"    {escape(row)}\n"
    return text


def as_json(line: Line, redactor: Redactor, most: int = MAX_FIELD) -> str:
    """For programs: one object, ASCII only; a field has *most* characters."""
    when = datetime.fromtimestamp(line.at, UTC)
    record: dict[str, object] = {
        "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": line.level,
        "event": redactor.scrub(line.event),
        **line.trace,
    }
    for name, value in line.fields.items():
        # A field never takes the place of those above.
        key = f"{name}_" if name in record else name
        record[key] = _value(value, redactor, most)
    if line.error is not None:
        record["traceback"] = _traceback(line.error, redactor)
    return json.dumps(record) + "\n"


def _value(value: object, redactor: Redactor, most: int) -> object:
    """What JSON has a form for keeps it, as far as there is room; the rest is text."""
    if value is None or (isinstance(value, int | float) and abs(value) < float("inf")):
        return value
    listed = items(value)
    if listed is None:
        return _shown(value, redactor, most)
    found = [_value(each, redactor, most) for each in listed]
    text = json.dumps(found)
    return found if len(text) <= most else _cut(text, most)


def _words(value: object, redactor: Redactor) -> str:
    listed = items(value)
    if listed is None:
        return _shown(value, redactor)
    text = ",".join(_words(each, redactor) for each in listed)
    return _cut(f"[{text}]", MAX_FIELD)


def items(value: object) -> Sequence[object] | None:
    """What is in a list, or in a set, in an order that does not change; None: neither."""
    if isinstance(value, list | tuple):
        return tuple(cast("Iterable[object]", value))
    if isinstance(value, set | frozenset):
        return sorted(cast("Iterable[object]", value), key=str)
    return None


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text)})"


def _shown(value: object, redactor: Redactor, most: int = MAX_FIELD) -> str:
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 -- foreign code, at the edge of the log
        text = f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    # Cut after scrubbing: half of a secret is not recognised.
    return _cut(redactor.scrub(text), most)


def _traceback(error: BaseException | None, redactor: Redactor) -> str:
    if error is None:
        return ""
    try:
        text = "".join(traceback.format_exception(error, limit=-MAX_FRAMES))
    except Exception as inner:  # noqa: BLE001 -- as above
        text = f"<traceback that cannot be shown: {type(inner).__name__}>"
    text = redactor.scrub(text)
    return text if len(text) <= MAX_TRACEBACK else f"{text[:MAX_TRACEBACK]}\n..."
