"""Questions to persons as OpenClaw's clients know them: approvals. Pure.

Every question of a turn is one of the kind ``exec``: a command that nothing allows, or
another call of a tool that a person has to agree to. Text in it comes from a model, so
what nobody would see is written out.
"""

import unicodedata
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

from beamclaw.contracts.approvals import GrantRow
from beamclaw.contracts.ledger_rows import WaitRow

Decision = Literal["allow-once", "allow-always", "deny"]

_VISIBLE: Final = frozenset("\n\t")


def decisions(row: WaitRow) -> list[Decision]:
    """What may be answered to it."""
    if row.grant is None:
        return ["allow-once", "deny"]
    return ["allow-once", "allow-always", "deny"]


def decision(row: WaitRow) -> Decision | None:
    """What was answered; None: nothing, in time."""
    if row.verdict == "allow":
        return "allow-always" if row.always else "allow-once"
    return "deny" if row.verdict == "deny" else None


def is_over(row: WaitRow, now: float) -> bool:
    """Whether no answer counts any more."""
    return row.verdict is not None or row.closed_at is not None or now >= row.expires_at


def pending(row: WaitRow) -> dict[str, Any]:
    """An open question as it stands in the list, and in the event ``requested``."""
    return {
        "approvalKind": "exec",
        "id": row.wait_id,
        "request": request(row),
        "createdAtMs": ms(row.at),
        "expiresAtMs": ms(row.expires_at),
    }


def request(row: WaitRow) -> dict[str, Any]:
    """What is asked."""
    offered = decisions(row)
    # Left out where there are none, as OpenClaw has published it: not an empty list.
    always = {} if row.grant is not None else {"unavailableDecisions": ["allow-always"]}
    return {
        "command": command(row),
        "cwd": visible(row.details.get("folder", "")) or None,
        "host": "gateway",
        "security": "allowlist",
        "ask": "on-miss",
        "agentId": row.agent or None,
        "sessionKey": row.session_key,
        "runId": row.run_id,
        "resolvedPath": visible(row.details.get("program", "")) or None,
        "warningText": warning(row),
        "allowedDecisions": offered,
        **always,
        "details": {
            visible(name): visible(value) for name, value in row.details.items()
        },
    }


def resolved(row: WaitRow, now: float) -> dict[str, Any]:
    """The event ``resolved``; a question that nobody answered is one that was denied."""
    return {
        "id": row.wait_id,
        "decision": decision(row) or "deny",
        "resolvedBy": row.by or None,
        "ts": ms(now),
        "request": request(row),
    }


def short(row: WaitRow) -> dict[str, Any]:
    """One open question, looked up."""
    return {
        "id": row.wait_id,
        "commandText": command(row),
        "commandPreview": None,
        "allowedDecisions": decisions(row),
        "host": "gateway",
        "nodeId": None,
        "agentId": row.agent or None,
        "expiresAtMs": ms(row.expires_at),
    }


def snapshot(row: WaitRow, now: float) -> dict[str, Any]:
    """A question, open or over."""
    shown: dict[str, Any] = {
        "id": row.wait_id,
        "urlPath": f"/approve/{quote(row.wait_id, safe='')}",
        "createdAtMs": ms(row.at),
        "expiresAtMs": ms(row.expires_at),
        "presentation": {
            "kind": "exec",
            "commandText": command(row),
            "warningText": warning(row),
            "host": "gateway",
            "agentId": row.agent or None,
            "allowedDecisions": decisions(row),
        },
    }
    if not is_over(row, now):
        return shown | {"status": "pending", "sourceSessionKey": row.session_key}
    at = row.closed_at if row.closed_at is not None else min(now, row.expires_at)
    shown |= {
        "resolvedAtMs": ms(at),
        "source": {"sessionKey": row.session_key}
        | ({"agentId": row.agent} if row.agent else {}),
    }
    if row.verdict == "allow":
        return shown | {
            "status": "allowed",
            "decision": decision(row),
            "reason": "user",
        }
    if row.verdict == "deny":
        return shown | {"status": "denied", "decision": "deny", "reason": "user"}
    if row.verdict == "expired" or at >= row.expires_at:
        return shown | {"status": "expired", "reason": "timeout"}
    return shown | {"status": "cancelled", "reason": "run-aborted"}


def command(row: WaitRow) -> str:
    """What a person agrees to, in a line or a few."""
    return visible(row.details.get("command") or row.question) or "?"


def warning(row: WaitRow) -> str | None:
    """Why they are asked."""
    return visible(row.details.get("why", "")) or None


def grant(row: GrantRow) -> dict[str, Any]:
    """What was allowed for good."""
    return {
        "grantId": str(row.id),
        "mintedByApprovalId": row.wait_id,
        "agentId": row.agent,
        # OpenClaw's belong to a cron job; ours to the agent, whoever has it work.
        "cronJobId": "-",
        "cronJobName": None,
        "command": visible(row.grant.words or row.grant.pattern)[:512],
        "cwd": None,
        "createdAtMs": ms(row.at),
        "expiresAtMs": None,
        "revokedAtMs": None if row.revoked_at is None else ms(row.revoked_at),
        "revokedBy": row.revoked_by[:200] or None,
        "lastUsedAtMs": None,
        "useCount": 0,
    }


def visible(text: str) -> str:
    r"""*text* with everything written out that a person would not see.

    >>> visible("rm\u202e x\x1b[2J")
    'rm\\u202e x\\u001b[2J'
    """
    return "".join(map(_written, text))


def _written(char: str) -> str:
    if char in _VISIBLE or unicodedata.category(char) not in _HIDDEN:
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= _BMP else f"\\U{ord(char):08x}"


# Control characters, marks of direction and the like, half a character, nothing at all,
# and what stands for the end of a line without being one.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})
_BMP: Final = 0xFFFF


def ms(seconds: float) -> int:
    """Seconds since the epoch as the wire has them."""
    return max(0, round(seconds * 1000))


ENDS: Final[Mapping[Decision, Literal["allow", "deny"]]] = {
    "allow-once": "allow",
    "allow-always": "allow",
    "deny": "deny",
}
"""Each decision as a verdict."""
