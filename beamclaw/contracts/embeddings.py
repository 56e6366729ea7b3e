"""Embeddings: texts as vectors, by a model of a provider, paid for as an answer is.

They belong to no conversation. What they take is reserved before and settled after, in
the same purses as the answers of the agent that they are asked of.
"""

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.messages import Usage
from beamclaw.values import frozen


@frozen(kw_only=True)
class Embed(supervision.Call["Embedded | NotEmbedded"]):
    """To ``<tenant>/embeddings``: have *inputs* made into vectors.

    Attributes:
        agent: Whose purses pay for it.
        base64: Each vector as text (float32 numbers in base64), not as a list.
        dimensions: Of the vectors; None: as many as the model gives.
        user: Whom it is for, passed on.
        traceparent: To whose trace it belongs, with *tracestate*; see
            :mod:`beamclaw.contracts.tracing`.
    """

    agent: str
    provider: str
    model: str
    inputs: tuple[str, ...]
    base64: bool = False
    dimensions: int | None = None
    user: str | None = None
    traceparent: str = ""
    tracestate: str = ""


@frozen
class Embedded:
    """The vectors in the order of the inputs, as a JSON list; and what they took."""

    vectors: bytes
    usage: Usage


@frozen(kw_only=True)
class NotEmbedded:
    """There are none. *kind* is a provider's class of errors, ``budget`` or ``unsupported``.

    *message* is for a person; *retry_after* in seconds, where asking again makes sense.
    """

    kind: str
    message: str
    retry_after: float | None = None


async def embed(bus: Bus, tenant: str, order: Embed) -> Embedded | NotEmbedded:
    """Have it done; it may take as long as the provider's ``max_seconds``.

    Raises:
        beamclaw.contracts.ledger_errors.LedgerError: It cannot be paid for now.
        supervision.CallFailed: That part of the node is being restarted.

    Cancelled, it goes on, and is paid for.
    """
    return await bus.call(names.of_tenant(tenant, "embeddings"), order, timeout=None)
