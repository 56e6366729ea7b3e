"""Model providers: what is asked of them, what comes back, and their permits."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, Protocol, runtime_checkable

import supervision
from beamclaw.contracts.messages import Message, ModelParams, Usage
from beamclaw.contracts.tools import ToolSpec
from beamclaw.values import frozen

StopReason = Literal[
    "stop",
    "length",
    "tool_calls",
    "refusal",
    "context_length",
    "limit",
    "aborted",
    "error",
]
ErrorKind = Literal[
    "auth",
    "rate_limit",
    "overloaded",
    "context_length",
    "invalid",
    "model_not_found",
    "quota",
    "network",
    "server",
    "refused",
]
# Tried again within the turn's budget; the others are told to the person at once.
TRANSIENT: frozenset[ErrorKind] = frozenset(
    {"rate_limit", "overloaded", "network", "server"}
)


BreakerState = Literal["closed", "open", "half-open"]

LEFT_ALONE: Final = "beamclaw.provider.left_alone"
ANSWERS_AGAIN: Final = "beamclaw.provider.answers_again"


@frozen(kw_only=True)
class ModelRequest:
    """One call of a model, which may ask for *tools*.

    *messages* may begin with system messages. *traceparent* and *tracestate* are headers
    that the provider is to get, see :mod:`beamclaw.contracts.tracing`; empty: none.
    *goes_on*: another request is likely to begin with all of this one, so that it is
    worth its price to have the provider keep it.
    """

    model: str
    messages: Sequence[Message]
    params: ModelParams = ModelParams()
    tools: tuple[ToolSpec, ...] = ()
    traceparent: str = ""
    tracestate: str = ""
    goes_on: bool = False


@frozen(kw_only=True)
class EmbeddingRequest:
    """Texts to be made into vectors; see :class:`beamclaw.contracts.embeddings.Embed`.

    *traceparent* and *tracestate* as in :class:`ModelRequest`.
    """

    model: str
    inputs: tuple[str, ...]
    base64: bool = False
    dimensions: int | None = None
    user: str | None = None
    traceparent: str = ""
    tracestate: str = ""


@frozen
class TextDelta:
    """The next piece of the answer's text."""

    text: str


@frozen
class ThinkingDelta:
    """The next piece of a reasoning block; the block's last piece may sign it.

    A block that the provider keeps to itself comes as one piece, without text. *field*
    is that of :class:`~beamclaw.contracts.messages.Thinking`.
    """

    text: str
    signature: str | None = None
    redacted: str | None = None
    field: str = ""


@frozen
class ToolCallDelta:
    """The next piece of a tool call; id and name come once, with the first piece."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@frozen
class UsageReport:
    """Tokens so far in this call (cumulative: the last one counts)."""

    usage: Usage


@frozen(kw_only=True)
class Rates:
    """What a provider says is left of its limits; None: it says nothing.

    Attributes:
        requests: Calls that may begin, until *requests_reset* seconds have passed.
        tokens: Tokens that may be used, until *tokens_reset* seconds have passed.
    """

    requests: int | None = None
    requests_reset: float = 0.0
    tokens: int | None = None
    tokens_reset: float = 0.0


@frozen
class End:
    """The call is complete; nothing follows."""

    stop_reason: StopReason


@frozen
class Vectors:
    """All vectors of a call that makes embeddings.

    *read* gives them, as a JSON list in the order of the inputs, and what the provider
    bills (None: it does not say). It may take a while, so it is done away from the loop;
    it raises :class:`ProviderError` where they are not what was asked for.
    """

    read: Callable[[], tuple[bytes, Usage | None]]


ProviderEvent = (
    TextDelta | ThinkingDelta | ToolCallDelta | UsageReport | Rates | Vectors | End
)


class ProviderError(Exception):
    """A model call failed, in a class that says what can be done about it.

    Attributes:
        kind: See :data:`ErrorKind`.
        message: For a person: what happened, which variable or file to look at. Never
            contains a key.
        retry_after: Seconds the provider asked to wait, if it did.
        status: HTTP status, if there was an answer.
        rates: What the provider said is left of its limits, if it did.
        unclear: The request had left and nobody knows what became of it: the provider
            may have worked for it, and bill it.
        unheard: And it may have gone on with that while nothing of it came.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.message = message
        self.retry_after = retry_after
        self.status = status
        self.rates: Rates | None = None
        self.unclear = False
        self.unheard = False

    @property
    def transient(self) -> bool:
        """Whether another attempt may succeed."""
        return self.kind in TRANSIENT


class ProviderUnwell(ProviderError):  # noqa: N818 -- a situation
    """The provider was not asked, because it is known that it would not answer.

    *kind* and *message* are those of what is known; *retry_after* is when it will be
    asked again.
    """


class Provider(Protocol):
    """A connection to one model provider, used by many runs at once."""

    @property
    def name(self) -> str:
        """The provider's name in the configuration."""
        ...

    def stream(
        self, request: ModelRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        """Ask, in the caller's own task; leaving the block ends the call at once.

        The iterator gives deltas, usage, perhaps rates, and exactly one :class:`End` as
        the last event; everything else that can happen is a :class:`ProviderError`, also when
        the stream breaks off without its end.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """A provider that makes vectors, too."""

    def embed(
        self, request: EmbeddingRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        """As :meth:`Provider.stream`; it gives :class:`Vectors` and :class:`End`."""
        ...


# Makes a tenant's own connection to the provider with this name, by one of its keys (0
# is the first).
Connect = Callable[[str, int], Provider]


class ProviderBusy(Exception):  # noqa: N818 -- a situation, named like trio.WouldBlock
    """The queue for a permit is full; ask again after *retry_after* seconds."""

    def __init__(self, provider: str, waiting: int, retry_after: float) -> None:
        super().__init__(
            f"provider {provider}: {waiting} calls are waiting already "
            f"(providers.{provider}.max_waiting)"
        )
        self.retry_after = retry_after


class KeyTaken(Exception):  # noqa: N818 -- a situation
    """No call may begin by this key now; perhaps in *retry_after* seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"not before {retry_after:g} s")
        self.retry_after = retry_after


@frozen
class Acquire(supervision.Call["Permit"]):
    """Wait for leave to call the provider; freed by Release or the caller's death.

    Raises (in the caller): :class:`ProviderUnwell`, :class:`ProviderBusy`,
    :class:`KeyTaken`.

    Attributes:
        tokens: What the call may use at most.
        patient: Wait also for a provider that is ill (but not for ever).
        wait: False: now or not at all.
    """

    run_id: str
    tokens: int = 0
    patient: bool = False
    wait: bool = True


@frozen
class Permit:
    """Leave for one call. With *probe* others wait for its first sign of life."""

    id: int
    waited: float
    probe: bool = False


@frozen
class Alive:
    """Cast to the permit server: the call that is a probe is being answered."""

    permit: int


@frozen
class Release:
    """Cast to the permit server when the call is over.

    Attributes:
        words: What went wrong, for a person.
        rates: What the provider said is left.
        unknown: Nobody knows how it went, or it was never made.
    """

    permit: int
    usage: Usage = Usage()
    error: ErrorKind | None = None
    retry_after: float | None = None
    words: str = ""
    rates: Rates | None = None
    unknown: bool = False


@frozen
class GetPermits(supervision.Call["PermitStatus"]):
    """How the provider stands."""


@frozen(kw_only=True)
class PermitStatus:
    """Figures of one key of a provider since its permit server started.

    Attributes:
        blocked_for: Seconds that are left of a pause that the provider asked for.
        breaker: Open, it is left alone; half-open, one call finds out how it is.
        opens_in: Seconds until it is asked again, if it is open.
        last_error: What went wrong last, for a person; empty: nothing has.
    """

    provider: str
    in_use: int
    waiting: int
    limit: int
    calls: int
    errors: int
    usage: Usage
    blocked_for: float = 0.0
    key: int = 0
    breaker: BreakerState = "closed"
    opens_in: float = 0.0
    last_error: str = ""
