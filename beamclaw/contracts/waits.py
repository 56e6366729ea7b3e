"""Durable waits: a turn goes on when a person has answered, however long that takes.

A question is one row of the ledger, open until somebody answers it or it expires; the
first answer counts. It survives every restart, and so does the answer.
"""

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.ledger_reads import ReadWait, ReadWaits
from beamclaw.contracts.ledger_rows import Verdict, WaitRow
from beamclaw.contracts.sessions import Wake
from beamclaw.values import frozen


@frozen(kw_only=True)
class Answer(supervision.Call[None]):
    """To a session: a person's answer to one of its questions.

    With *always* the same is allowed for good; that goes with ``allow`` only.

    Raises (in the caller):
        beamclaw.contracts.ledger_errors.AnsweredAlready: Somebody was faster.
        beamclaw.contracts.ledger_errors.NoSuchWait: Nothing waits under this id, or not
            any more (``AnsweredTooLate``).
        beamclaw.contracts.ledger_errors.NotForGood: It can be allowed once only,
            or too much is allowed for good already (``TooManyGrants``).
    """

    wait_id: str
    verdict: Verdict
    by: str
    text: str = ""
    always: bool = False


@frozen
class Answered:
    """To a run, from its session: this question has an answer in the ledger."""

    row: WaitRow


@frozen
class Changed:
    """Published on :func:`topic`: a question was asked, or is over; committed.

    Which one is read (:func:`read_waits`), so nothing is lost with a value of it.
    """


def topic(tenant: str) -> str:
    """The bus topic on which it is told that questions of a tenant have changed."""
    return names.of_tenant(tenant, "questions")


def tell_changed(bus: Bus, tenant: str) -> None:
    """Say so; to be called when it is committed."""
    bus.publish(topic(tenant), Changed())


async def read_waits(bus: Bus, tenant: str) -> tuple[WaitRow, ...]:
    """The questions that wait for a person, oldest first."""
    return await bus.call(names.of_tenant(tenant, "ledger"), ReadWaits())


async def read_wait(bus: Bus, tenant: str, wait_id: str) -> WaitRow | None:
    """A question, also one that is over; None: it was never asked, or is erased."""
    return await bus.call(names.of_tenant(tenant, "ledger"), ReadWait(wait_id))


async def answer(bus: Bus, tenant: str, session_key: str, given: Answer) -> None:
    """Answer a question. When this returns, the answer is durable and counts.

    Raises:
        beamclaw.contracts.ledger_errors.AnsweredAlready: Somebody was faster.
        beamclaw.contracts.ledger_errors.NoSuchWait: Nothing waits under this id.
        supervision.CallFailed: The tenant is not up, or the session died over it;
            whether the answer counts is unknown: ask again.
    """
    door = names.of_tenant(tenant, "sessions")
    while True:
        await bus.call(door, Wake(session_key), timeout=None)
        try:
            await bus.call(names.session(tenant, session_key), given, timeout=None)
        except supervision.NoProcess:
            continue  # it fell asleep in between
        return
