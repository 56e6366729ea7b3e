"""A tool's output as the model gets it: bounded, with a pointer to the rest."""

import hashlib

from beamclaw.contracts.journal import ToolEnded
from beamclaw.contracts.messages import ToolResult
from beamclaw.contracts.tools import CallOutcome, Output


def ended(call_id: str, outcome: CallOutcome, text: str) -> ToolEnded:
    """The result of a call that the node itself gives."""
    return _ended(call_id, outcome, text, text)


def of_output(call_id: str, output: Output, *, most: int) -> ToolEnded:
    """The result of a call that its tool has given, *most* characters of it.

    The middle of what is too long is left out: the beginning says what it is, the end
    how it came out.
    """
    outcome: CallOutcome = "error" if output.is_error else "ok"
    return _ended(call_id, outcome, output.text, shortened(output.text, most))


def shortened(text: str, most: int) -> str:
    """*text*, or its beginning and end, with a note between them of what is missing.

    >>> shortened("abcdefghij", 4).splitlines()
    ['abc', '[… 6 of 10 characters left out …]', 'j']
    """
    if len(text) <= most:
        return text
    tail = most // 4
    left_out = f"\n[… {len(text) - most:,} of {len(text):,} characters left out …]\n"
    return text[: most - tail] + left_out + (text[-tail:] if tail else "")


def _ended(call_id: str, outcome: CallOutcome, whole: str, text: str) -> ToolEnded:
    data = whole.encode("utf-8", "surrogatepass")
    return ToolEnded(
        outcome=outcome,
        result=ToolResult(call_id, text, outcome != "ok"),
        digest=hashlib.blake2b(data, digest_size=12).hexdigest(),
        size=len(data),
    )
