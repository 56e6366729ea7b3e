"""Trying a provider's key: one call of a model, of a few tokens, which nobody repeats."""

from typing import Final

import attrs
import trio

from beamclaw.contracts import keys, news
from beamclaw.contracts.ledger_errors import BudgetReached
from beamclaw.contracts.messages import ModelParams, Usage, said
from beamclaw.contracts.probes import Probe, Probed
from beamclaw.contracts.providers import ModelRequest, ProviderError
from beamclaw.contracts.tracing import UNTRACED
from beamclaw.runs.answer import Answer
from beamclaw.runs.model_call import ModelCall
from beamclaw.runs.paying import Paying
from beamclaw.runs.wiring import Wiring

WORDS: Final = "Say: ok"
# Tokens at most: of what is asked, to which some models' templates add dozens; of the
# answer, for which some providers take no smaller number, and a model may think first.
INPUT: Final = 128
OUTPUT: Final = 16
_ATTEMPT: Final = 1


async def probed(wiring: Wiring, order: Probe) -> Probed:
    """Try it.

    Raises:
        LedgerError: It cannot be paid for now.
    """
    began = trio.current_time()
    unique = wiring.outside.new_id()
    paying = Paying(
        wiring=wiring,
        run_id=f"probe-{unique}",
        session=str(keys.probe(order.agent, unique)),
        agent=order.agent,
        target=(order.provider, order.model),
        bound=Usage(INPUT, OUTPUT, estimated=True),
    )
    if refusal := paying.refusal():
        return Probed(kind="budget", message=refusal)
    try:
        await paying.reserve(_ATTEMPT)
    except BudgetReached as reached:
        return Probed(kind="budget", message=str(reached))
    outcome = "cancelled"
    try:
        found, used = await _asked(wiring, order, paying)
        outcome = found.kind or "ok"
    finally:
        news.tell_order_ended(
            wiring.tenant,
            paying.run_id,
            outcome,
            UNTRACED,
            seconds=trio.current_time() - began,
        )
    await paying.settle(_ATTEMPT, used)
    return attrs.evolve(found, seconds=trio.current_time() - began)


async def _asked(wiring: Wiring, order: Probe, paying: Paying) -> tuple[Probed, Usage]:
    """What came of it, and what it took."""
    answer, sent = Answer(), list[int]()
    call = ModelCall(
        wiring=wiring,
        run_id=paying.run_id,
        provider=order.provider,
        request=ModelRequest(
            model=order.model,
            messages=(said("user", WORDS),),
            params=ModelParams(max_tokens=OUTPUT),
            traceparent=wiring.tracing.outgoing(
                paying.run_id, "", *news.model_step(_ATTEMPT)
            ),
        ),
        attempt=_ATTEMPT,
        purpose="probe",
        bound=paying.bound,
        keys=(order.key,),
        patient=False,
        wait_for=_tell_nobody,
        say=_tell_nobody,
        heard=_tell_nobody,
        use=sent.append,
    )
    with trio.move_on_after(order.seconds):
        try:
            await call.make(answer)
        except ProviderError as error:
            found = Probed(kind=error.kind, message=error.message)
            return found, answer.spent(paying.bound)
        return Probed(), answer.cost(paying.bound)
    # Nobody knows what became of a call that had left by then: it may go on unheard.
    used = paying.bound if sent else Usage()
    words = f"no answer within {order.seconds:g} seconds"
    return Probed(kind="timeout", message=words), used


def _tell_nobody(*words: object) -> None:
    """Nobody follows it."""
