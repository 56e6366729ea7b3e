"""Values of the node as JSON for commands."""

from typing import Any, cast

import attrs

import supervision
from beamclaw.config.redactor import Redactor
from beamclaw.contracts.about import About
from beamclaw.contracts.crashes import Crash, crashes


def show_value(value: object) -> dict[str, Any]:
    """An attrs value as an object; our messages and figures hold nothing secret."""
    return attrs.asdict(cast("Any", value))


def show_process(
    info: supervision.ProcessInfo, now: float, redactor: Redactor
) -> dict[str, Any]:
    """A process without what is below it, of which ``hidden`` is the number.

    Its restarts are those by its supervisor; where that does not restart it, they are
    the crashes of those of its name that were before it.
    """
    crash = crashes().of(info.name)
    return {
        "id": info.id,
        "name": info.name,
        "pid": None if info.pid is None else str(info.pid),
        "kind": info.kind,
        "status": info.status,
        "strategy": info.strategy,
        "restart": info.restart,
        "mailbox": info.mailbox,
        "messages": info.messages,
        "restarts": restarts_of(info, crash),
        "uptime": None if info.started_at is None else now - info.started_at,
        "about": _about(info.name, redactor),
        "last_reason": _reason(info.last_reason or (crash and crash.reason), redactor),
        "suspended": info.suspended,
        "hidden": info.hidden,
    }


def restarts_of(info: supervision.ProcessInfo, crash: Crash | None) -> int:
    """How often one of this place has begun anew; *crash* is the last of its name."""
    return info.restarts if crash is None else max(info.restarts, crash.times)


def show_crashes(now: float, redactor: Redactor) -> list[dict[str, Any]]:
    """The last ones, the oldest first; ``ago`` is in seconds."""
    return [
        {
            "number": crash.number,
            "ago": now - crash.at,
            "name": redactor.scrub(crash.name),
            "pid": crash.pid,
            "reason": _reason(crash.reason, redactor),
        }
        for crash in crashes().latest
    ]


def _about(name: str | None, redactor: Redactor) -> str | None:
    """What the process has said of itself."""
    entry = None if name is None else supervision.lookup(name)
    about = None if entry is None else entry.value
    return redactor.scrub(about.words) if isinstance(about, About) else None


def _reason(reason: supervision.ExitReason | None, redactor: Redactor) -> str | None:
    # The text of an exception may hold anything.
    return None if reason is None else redactor.scrub(str(reason))
