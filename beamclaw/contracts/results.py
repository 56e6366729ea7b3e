"""A tool's output as the model gets it: bounded, with a pointer to the rest."""

import hashlib
from typing import Final

import attrs

from beamclaw.contracts.journal import ToolEnded
from beamclaw.contracts.ledger_ops import OUTPUT_PIECE, PutOutput
from beamclaw.contracts.messages import File, Media, ToolResult
from beamclaw.contracts.steps import Steps, at_once
from beamclaw.contracts.tools import Bounded, Bounds, CallOutcome, Output

READER: Final = "read_output"
"""The tool by which a model reads what it was not told of an output."""

_ALL = Bounds(told=1_000_000_000, kept=0, media=0)


def ended(call_id: str, outcome: CallOutcome, text: str) -> ToolEnded:
    """The result of a call that the node itself gives."""
    output = whole(Output(text, is_error=outcome != "ok"))
    return _ended(call_id, outcome, output)


def of_output(call_id: str, key: str, output: Bounded) -> ToolEnded:
    """The result of a call that its tool has given; *key* is the call's."""
    outcome: CallOutcome = "error" if output.is_error else "ok"
    result = _ended(call_id, "unknown" if output.unknown else outcome, output)
    return attrs.evolve(result, rest=key) if output.pieces else result


def whole(output: Output) -> Bounded:
    """*output*, a short one, of which the model gets all."""
    return at_once(bounded(output, "", _ALL))


def to_keep(
    run_id: str, key: str, output: Bounded, result: ToolEnded, *, at: float
) -> PutOutput | None:
    """What of it goes into the ledger with *result*; None: the model has it all."""
    if not output.pieces:
        return None
    return PutOutput(
        pointer=key,
        run_id=run_id,
        at=at,
        length=output.length,
        pieces=output.pieces,
        untrusted=result.untrusted,
    )


def bounded(output: Output, key: str, bounds: Bounds) -> Steps[Bounded]:
    """*output*, of which the model gets so much, and so much is kept under *key*.

    It may have any length; a step takes a millisecond at most.
    """
    text, length = output.text, len(output.text)
    room = bounds.kept if length > bounds.told else 0
    digest = hashlib.blake2b(digest_size=12)
    pieces: list[bytes] = []
    size = kept = 0
    for first in range(0, length, OUTPUT_PIECE):
        if first:
            yield
        piece = text[first : first + OUTPUT_PIECE]
        data = _bytes(piece)
        digest.update(data)
        size += len(data)
        if room:
            if len(data) > room:
                piece = piece[: room if piece.isascii() else room // _WIDEST]
                data = _bytes(piece)
                room = len(data)  # the last one
            if data:
                pieces.append(data)
            kept += len(piece)
            room -= len(data)
    said = [shortened(text, bounds.told, _where(key, kept, length))]
    media: list[Media] = []
    left = bounds.media
    for part in output.media:
        yield
        data = (part.data or part.url or "").encode("utf-8", "surrogatepass")
        digest.update(data)
        if len(data) <= left:
            media.append(part)
            left -= len(data)
        else:
            said.append(_too_large(part, len(data), bounds.media))
    return Bounded(
        text="\n".join(said),
        media=tuple(media),
        is_error=output.is_error,
        unknown=output.unknown,
        digest=digest.hexdigest(),
        size=size,
        length=length,
        pieces=tuple(pieces),
        untrusted=output.untrusted,
    )


def _too_large(part: Media, size: int, most: int) -> str:
    what = f"the file {part.name!r}" if isinstance(part, File) else "a picture"
    return f"[… {what} of {size:,} bytes is left out (tools.max_media: {most:,}) …]"


# Bytes of one character.
_WIDEST = 4


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _where(key: str, kept: int, length: int) -> str:
    if not kept:
        return ""
    part = "all of it is" if kept == length else f"the first {kept:,} are"
    return f"; {part} kept as output {key}, which {READER} reads"


def shortened(text: str, most: int, where: str = "") -> str:
    """*text*, or its beginning and end, with a note between them of what is missing.

    The beginning says what it is, the end how it came out; *where* is added to the note.

    >>> shortened("abcdefghij", 4).splitlines()
    ['abc', '[… 6 of 10 characters left out …]', 'j']
    """
    length = len(text)
    if length <= most:
        return text
    tail = most // 4
    note = f"\n[… {length - most:,} of {length:,} characters left out{where} …]\n"
    return text[: most - tail] + note + (text[-tail:] if tail else "")


def _ended(call_id: str, outcome: CallOutcome, output: Bounded) -> ToolEnded:
    return ToolEnded(
        outcome=outcome,
        result=ToolResult(call_id, output.text, outcome != "ok", output.media),
        digest=output.digest,
        size=output.size,
        untrusted=output.untrusted,
    )
