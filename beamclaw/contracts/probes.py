"""Probes: one tiny call of a model, to find out whether a provider's key works.

It belongs to no conversation, and is reserved and paid for as an answer is.
"""

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.bus import Bus
from beamclaw.values import frozen


@frozen(kw_only=True)
class Probe(supervision.Call["Probed"]):
    """To ``<tenant>/embeddings``: ask *model* for a word, once.

    Attributes:
        agent: Whose purses pay for it.
        key: Which of the provider's keys, counted from 0.
        seconds: How long it may take, with waiting for the provider's limits.
    """

    agent: str
    provider: str
    model: str
    key: int = 0
    seconds: float = 20.0


@frozen(kw_only=True)
class Probed:
    """What came of it, after so many *seconds*.

    *kind* is None where the model has answered; else a provider's class of errors,
    ``timeout``, or ``budget``: nothing was asked. *message* is for a person.
    """

    kind: str | None = None
    message: str = ""
    seconds: float = 0.0


async def probe(bus: Bus, tenant: str, order: Probe) -> Probed:
    """Have it done.

    Raises:
        beamclaw.contracts.ledger_errors.LedgerError: It cannot be paid for now.
        supervision.CallFailed: That part of the node is being restarted.

    Cancelled, it goes on, and is paid for.
    """
    return await bus.call(names.of_tenant(tenant, "embeddings"), order, timeout=None)
