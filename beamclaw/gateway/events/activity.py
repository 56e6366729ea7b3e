"""Turns and tool calls as a list of what was done, without anything that was said. Pure.

What a line says is OpenClaw's (``AuditEvent``); what it is made of is a journal's event,
and those before it of the same turn.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from beamclaw.contracts.journal import (
    Answered,
    RunOver,
    RunStarted,
    ToolBegun,
    ToolEnded,
)
from beamclaw.contracts.journal import read as body_of
from beamclaw.contracts.ledger_reads import ActivityRow
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import ToolCall
from beamclaw.values import frozen

Shown = dict[str, Any]
Kind = Literal["agent_run", "tool_action"]
Status = Literal[
    "started", "succeeded", "failed", "cancelled", "timed_out", "blocked", "unknown"
]

# Events that are lines, by the kind of those.
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "agent_run": ("run-started", "run-over"),
    "tool_action": ("tool-begun", "tool-ended"),
}
# Events that say whose a turn is, and which tool a call is of.
ABOUT: Final = ("run-started", "answered", "tool-begun")

# How a turn came out, and a call. What a limit or a budget has ended was blocked by it.
_RUNS: Final[Mapping[str, Status]] = {
    "ok": "succeeded",
    "limited": "blocked",
    "error": "failed",
    "aborted": "cancelled",
    "quarantined": "failed",
}
_CALLS: Final[Mapping[str, Status]] = {
    "ok": "succeeded",
    "error": "failed",
    "unknown": "unknown",
    "refused": "blocked",
    "stopped": "cancelled",
}
_CODES: Final[Mapping[Status, str]] = {"unknown": "outcome_unknown"}


@frozen(kw_only=True)
class About:
    """What is known of a turn: its agent, and the tools of its calls by their ids."""

    agent: str | None
    tools: Mapping[str, str]


def about(events: Iterable[Event]) -> About:
    """What these events of a turn say of it."""
    agent, tools = None, dict[str, str]()
    for event in events:
        match body_of(event):
            case RunStarted(agent=agent):
                pass
            case ToolBegun(call_id=id_, tool=name):
                tools[id_] = name
            case Answered(message=message):
                parts = message.parts
                calls = (part for part in parts if isinstance(part, ToolCall))
                tools |= {call.id: call.name for call in calls}
            case _:
                pass
    return About(agent=agent, tools=tools)


def line(row: ActivityRow, known: About) -> Shown | None:
    """*row* as a line; None: a turn that goes on after a death, which began before."""
    match body_of(row.event):
        case RunStarted(epoch=1, agent=agent):
            return _line(row, agent, "agent.run.started", "started")
        case RunOver(outcome=outcome):
            shown = _line(row, known.agent, "agent.run.finished", _RUNS[outcome])
        case ToolBegun(call_id=id_):
            shown = _line(row, known.agent, "tool.action.started", "started")
            shown |= _call(id_, known)
        case ToolEnded(outcome=outcome, result=result):
            shown = _line(row, known.agent, "tool.action.finished", _CALLS[outcome])
            shown |= _call(result.id, known)
        case _:
            return None
    return shown


def _line(row: ActivityRow, agent: str | None, action: str, status: Status) -> Shown:
    whose = agent or row.agent
    kind = "agent_run" if action.startswith("agent.run") else "tool_action"
    shown: Shown = {
        "eventId": f"event-{row.number}",
        "sequence": row.number,
        "sourceSequence": row.event.seq,
        "occurredAt": round(row.event.at * 1000),
        "kind": kind,
        "action": action,
        "status": status,
        "actor": {"type": "agent", "id": whose},
        "agentId": whose,
        "sessionKey": row.session_key,
        "runId": row.event.run_id,
        "redaction": "metadata_only",
    }
    if status not in ("started", "succeeded"):
        before = "run" if kind == "agent_run" else "tool"
        shown["errorCode"] = f"{before}_{_CODES.get(status, status)}"
    return shown


def _call(id_: str, known: About) -> Shown:
    name = known.tools.get(id_)
    return {"toolCallId": id_, **({} if name is None else {"toolName": name})}


def named(shown: Shown) -> Shown:
    """The same for ``audit.activity.list``, whose lines say what they are."""
    return {"eventType": shown["kind"], "schemaVersion": 1, **shown}
