"""Questions of turns to a person, the answers to them, and what was allowed for good."""

from contextlib import suppress

import supervision
from beamclaw.contracts import grants as granted
from beamclaw.contracts import names, waits
from beamclaw.contracts.ledger_errors import (
    AnsweredAlready,
    AnsweredTooLate,
    NoSuchWait,
    NotForGood,
)
from beamclaw.contracts.ledger_reads import ReadAncestors
from beamclaw.contracts.ledger_rows import Verdict, WaitRow
from beamclaw.shell.request import Failed, Node, Params, Send, flag, in_words, text
from beamclaw.shell.show import show_value


async def questions(node: Node, params: Params, send: Send) -> object:
    """The questions that wait for a person, oldest first.

    With ``session``, a whole key, those of that conversation and of its sub-agents.
    ``left`` are the seconds in which an answer counts.
    """
    del send
    rows, key = await _open(node), text(params, "session", "")
    if key:
        rows = [row for row in rows if await _belongs(node, row, key)]
    now = node.outside.wall()
    return [{**show_value(row), "left": row.expires_at - now} for row in rows]


async def _belongs(node: Node, row: WaitRow, key: str) -> bool:
    if row.session_key == key:
        return True
    ledger = names.of_tenant(names.DEFAULT_TENANT, "ledger")
    with in_words():
        return key in await node.bus.call(ledger, ReadAncestors(row.session_key))


async def waiting(node: Node) -> int:
    """How many wait for an answer; none where that cannot be said."""
    with suppress(supervision.CallFailed):
        return len(await waits.read_waits(node.bus, names.DEFAULT_TENANT))
    return 0


async def answer(node: Node, params: Params, send: Send) -> object:
    """Answer the question ``wait_id``: ``allow`` or ``deny``.

    With ``always`` (``allow`` only) the same is allowed for good. ``session_key`` says
    whose question it is; without one it is looked for. ``by`` says who answers, ``text``
    what else there is to say. The first answer counts; a later one fails with the code
    ``answered``, one that comes too late with ``late``.
    """
    del send
    if node.inner:
        raise Failed("forbidden", "a command of an agent answers no question")
    given = waits.Answer(
        wait_id=text(params, "wait_id"),
        verdict=_verdict(text(params, "verdict")),
        by=text(params, "by"),
        text=text(params, "text", ""),
        always=flag(params, "always"),
    )
    key = text(params, "session_key", "") or await _session_of(node, given.wait_id)
    with in_words():
        try:
            await waits.answer(node.bus, names.DEFAULT_TENANT, key, given)
        except AnsweredAlready as error:
            raise Failed("answered", str(error)) from None
        except AnsweredTooLate as error:
            raise Failed("late", str(error)) from None
        except (NoSuchWait, NotForGood) as error:
            raise Failed("params", str(error)) from None
    return True


async def grants(node: Node, params: Params, send: Send) -> object:
    """What persons have allowed for good, oldest first; of one ``agent``, if it is given.

    With ``revoked`` also what was taken back. ``age`` is in seconds.
    """
    del send
    with in_words():
        rows = await granted.read_grants(
            node.bus,
            names.DEFAULT_TENANT,
            agent=text(params, "agent", "") or None,
            revoked=flag(params, "revoked"),
        )
    now = node.outside.wall()
    return [{**show_value(row), "age": now - row.at} for row in rows]


async def revoke(node: Node, params: Params, send: Send) -> object:
    """Take the grant ``id`` back; ``by`` says who. False: it did not hold any more."""
    del send
    number = params.get("id")
    if type(number) is not int:
        raise Failed("params", "id has to be the number of a grant")
    by, tenant = text(params, "by"), names.DEFAULT_TENANT
    with in_words():
        at = node.outside.wall()
        return await granted.revoke(node.bus, tenant, number, at=at, by=by)


async def _open(node: Node) -> tuple[WaitRow, ...]:
    with in_words():
        return await waits.read_waits(node.bus, names.DEFAULT_TENANT)


async def _session_of(node: Node, wait_id: str) -> str:
    for row in await _open(node):
        if row.wait_id == wait_id:
            return row.session_key
    raise Failed("params", f"nothing waits for an answer as {wait_id}")


def _verdict(word: str) -> Verdict:
    if word == "allow":
        return "allow"
    if word == "deny":
        return "deny"
    raise Failed("params", f"verdict is allow or deny, not {word[:20]!r}")
