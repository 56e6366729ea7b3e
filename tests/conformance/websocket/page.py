"""The table as a page; ``python -m tests.conformance.websocket.page`` writes it."""

from pathlib import Path
from typing import Final

from tests.conformance.websocket.cases import GROUPS, MAX_PAYLOAD, cases

PAGE: Final = Path(__file__).parents[3] / "docs" / "reference" / "websocket-frames.md"
_HEAD: Final = f"""\
# WebSocket, frame by frame

What a client may send over a connection that was let in, and what comes of it. The groups are
those of Autobahn's test suite for RFC 6455 (its eighth is empty); the cases are our own, for the
gateway takes text only, agrees on no compression, and reads no message above a limit. A text is a
request, answered by its `id`. Where limits are reached, `gateway.socket.max_payload` is
{MAX_PAYLOAD // 2**20} MiB.

Each row is a test. In none of them does the node end, keep a connection that is over, or let
another client wait. The page is written by `python -m tests.conformance.websocket.page`.
"""


def text() -> str:
    """The page."""
    lines = [_HEAD]
    for group, title in GROUPS.items():
        lines += [
            f"## {group}. {title}",
            "",
            "| sent | what comes of it |",
            "| --- | --- |",
        ]
        lines += [
            f"| {case.name} | {case.outcome} |"
            for case in cases()
            if case.group == group
        ]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(text())
