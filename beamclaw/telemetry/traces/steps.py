"""What each step of a request looks like as a span. Pure.

Names and attributes are OpenTelemetry's, of generative AI and of HTTP; what those do not
know is ``beamclaw.*``. A call of a model is one span, however often it was asked, and
each request for it one more below that.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import attrs

import supervision
from beamclaw.contracts import news
from beamclaw.contracts.tracing import Peer, span_of
from beamclaw.values import frozen

Kind = Literal["internal", "server", "client"]
Value = str | int | float

_FINE: Final = frozenset({"ok", ""})
_PORTS: Final = {"http": 80, "https": 443}
_OK: Final = 200
# Of several requests for the same thing: what they add up to.
_SUMS: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "beamclaw.waited_seconds",
    "beamclaw.cost_dollars",
)


@frozen(kw_only=True)
class Span:
    """One step of a request; times in seconds since the epoch.

    Attributes:
        trace: The trace; *state* is what others have said of it (``tracestate``).
        parent: Of a span; empty: nobody's.
        error: The kind of what went wrong; empty: nothing.
    """

    trace: str = ""
    state: str = ""
    id: str
    parent: str = ""
    name: str
    kind: Kind
    begun: float
    ended: float
    attributes: Mapping[str, Value]
    error: str = ""


def call(event: supervision.Event, peer: Peer, now: float) -> Span:
    """A call of a model, from waiting for leave to its end."""
    told, measured = event.metadata, event.measurements
    vectors, model = told["purpose"] == "embeddings", str(told["model"])
    operation = "embeddings" if vectors else "chat"
    used: dict[str, Value] = {
        "gen_ai.usage.input_tokens": int(measured["input"]),
        "gen_ai.usage.output_tokens": int(measured["output"]),
        "gen_ai.usage.cache_read.input_tokens": int(measured["cached"]),
        "gen_ai.usage.cache_creation.input_tokens": int(measured["stored"]),
    }
    if vectors:
        used = {"gen_ai.usage.input_tokens": int(measured["input"])}
    elif told["outcome"] == "ok":
        used["gen_ai.response.time_to_first_chunk"] = measured["first"]
    return Span(
        id=span_of(str(told["run"]), "call", str(int(measured["attempt"]))),
        name=f"{operation} {model}",
        kind="client",
        begun=now - measured["seconds"] - measured["waited"],
        ended=now,
        attributes={
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": peer.api,
            "gen_ai.request.model": model,
            **used,
            **_server(_address(event, peer)),
            "beamclaw.provider": str(told["provider"]),
            "beamclaw.purpose": str(told["purpose"]),
            "beamclaw.waited_seconds": measured["waited"],
            "beamclaw.cost_dollars": measured["cost"],
        },
        error=_error(told["outcome"]),
    )


def joined(first: Span, again: Span) -> Span:
    """The same call, after it was made *again*."""
    sums = {
        name: _number(first, name) + _number(again, name)
        for name in _SUMS
        if name in again.attributes
    }
    return attrs.evolve(
        again,
        id=first.id,
        begun=first.begun,
        attributes={**again.attributes, **sums},
    )


def request(
    event: supervision.Event, peer: Peer, parent: str, now: float
) -> Span | None:
    """The HTTP request of a call; None: there was none."""
    told, measured = event.metadata, event.measurements
    address = _address(event, peer)
    if not address or not told["asked"]:
        return None
    status = _OK if told["outcome"] == "ok" else int(measured["status"])
    said: dict[str, Value] = {"http.response.status_code": status} if status else {}
    if measured["resends"]:
        said["http.request.resend_count"] = int(measured["resends"])
    step = news.model_step(int(measured["attempt"]))
    error = _error(told["outcome"])
    return Span(
        id=span_of(str(told["run"]), *step),
        parent=parent,
        name="POST",
        kind="client",
        begun=now - measured["seconds"],
        ended=now,
        attributes={
            "http.request.method": "POST",
            "url.full": address,
            **_server(address),
            **said,
        },
        # The status says it, where there is one that is no success.
        error=str(status) if error and status > _OK else error,
    )


def tool(event: supervision.Event, now: float) -> Span:
    """A call of a tool."""
    told = event.metadata
    name, id_ = str(told["tool"]), str(told["call"])
    return Span(
        id=span_of(str(told["run"]), *news.tool_step(id_)),
        name=f"execute_tool {name}",
        kind="internal",
        begun=now - event.measurements["seconds"],
        ended=now,
        attributes={
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": id_,
            "gen_ai.tool.type": "function",
        },
        error=_error(told["outcome"]),
    )


def turn(event: supervision.Event, now: float) -> Span:
    """A turn, from its beginning to its end."""
    told, measured = event.metadata, event.measurements
    agent = str(told["agent"])
    return Span(
        id=span_of(str(told["run"]), *news.TURN_STEP),
        name=f"invoke_agent {agent}",
        kind="internal",
        begun=now - measured["seconds"],
        ended=now,
        attributes={
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.id": agent,
            "gen_ai.agent.name": agent,
            "beamclaw.outcome": str(told["outcome"]),
            "beamclaw.tokens": int(measured["tokens"]),
            "beamclaw.cost_dollars": measured["cost"],
        },
        error=_error(str(told["error"]) or told["outcome"]),
    )


def message(below: Span, run: str, source: str, handed_in: float) -> Span:
    """A message, from being handed in to the end of its turn, which is *below*."""
    return Span(
        id=span_of(run, "message"),
        name=f"message {source}",
        kind="server",
        begun=min(handed_in, below.begun),
        ended=below.ended,
        attributes={"beamclaw.source": source},
        error=below.error,
    )


def common(told: Mapping[str, Any]) -> dict[str, Value]:
    """What all spans of a run say of it."""
    known: dict[str, Value] = {
        "beamclaw.tenant": str(told["tenant"]),
        "beamclaw.run": str(told["run"]),
    }
    if "session" in told:
        known["gen_ai.conversation.id"] = str(told["session"])
    return known


def _address(event: supervision.Event, peer: Peer) -> str:
    return peer.embeddings if event.metadata["purpose"] == "embeddings" else peer.chat


def _server(address: str) -> dict[str, Value]:
    parts = urlsplit(address)
    if parts.hostname is None:
        return {}
    port = parts.port or _PORTS[parts.scheme]
    return {"server.address": parts.hostname, "server.port": port}


def _number(span: Span, name: str) -> int | float:
    value = span.attributes[name]
    assert not isinstance(value, str)
    return value


def _error(outcome: object) -> str:
    text = str(outcome)
    return "" if text in _FINE else text
