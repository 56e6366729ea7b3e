"""``POST /v1/embeddings``: a request read and checked, its answer written. Pure."""

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from beamclaw.config.schema import Config
from beamclaw.contracts import tracing
from beamclaw.contracts.embeddings import Embed, Embedded, NotEmbedded
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.ask import whom
from beamclaw.gateway.fields import Wrong, count, one_of, read_object, value_of
from beamclaw.gateway.problem import Problem, invalid
from beamclaw.values import frozen

MOST_DIMENSIONS: Final = 100_000


@frozen(kw_only=True)
class Limits:
    """How much one request may ask for; see ``gateway.embeddings``."""

    texts: int
    text_chars: int
    all_chars: int


@frozen(kw_only=True)
class Wanted:
    """What a request asks for, checked; *model* as the client wrote it."""

    model: str
    order: Embed


def read(
    body: object, headers: Mapping[str, str], config: Config, limits: Limits
) -> Wanted | Problem:
    """What *body* and *headers* (lower case names) ask for."""
    return read_object(body, lambda fields: _read(fields, headers, config, limits))


def _read(
    body: dict[str, Any], headers: Mapping[str, str], config: Config, limits: Limits
) -> Wanted:
    model = value_of(body, "model", str) or "openclaw"
    asked = whom(headers, Agents.of(config.agents), model=model, user=None)
    provider, name = target(config, asked.agent, asked.backend)
    trace = tracing.given(headers)
    form = one_of(body, "encoding_format", ("float", "base64"))
    order = Embed(
        agent=asked.agent,
        provider=provider,
        model=name,
        inputs=_texts(body.get("input"), limits),
        base64=form == "base64",
        dimensions=count(body, "dimensions", 1, MOST_DIMENSIONS),
        user=value_of(body, "user", str),
        traceparent=trace.traceparent,
        tracestate=trace.tracestate,
    )
    return Wanted(model=model, order=order)


def target(config: Config, agent: str, chosen: str | None) -> tuple[str, str]:
    """Provider and model that make the vectors of *agent*, or of what was *chosen*.

    Raises:
        Wrong: There is none, or it makes none.
    """
    named = chosen or config.agents[agent].embeddings
    if named is None:
        raise Wrong(
            f"agent {agent} has no model for embeddings: set agents.{agent}.embeddings "
            "to provider/model, or choose one by the header x-openclaw-model",
            "model",
            "model_not_found",
        )
    provider, _, model = named.partition("/")
    found = config.providers.get(provider)
    if found is None or not model:
        there = ", ".join(config.providers)
        raise Wrong(
            f"{named[:100]!r} is no provider/model for embeddings; providers: {there}",
            "x-openclaw-model" if chosen else "model",
            "model_not_found",
        )
    if found.api in ("anthropic", "demo"):
        raise Wrong(
            f"{provider} makes no embeddings (its api is {found.api}); choose a model of "
            "a provider that does, as one with api: openai",
            "x-openclaw-model" if chosen else "model",
            "model_not_found",
        )
    return provider, model


def _texts(given: object, limits: Limits) -> tuple[str, ...]:
    texts: list[Any] = [given] if isinstance(given, str) else _list(given)
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise Wrong("input must be a text, or a list of texts, none empty", "input")
    if len(texts) > limits.texts:
        raise Wrong(
            f"input has more than {limits.texts} texts (gateway.embeddings.max_texts)",
            "input",
        )
    if max(map(len, texts)) > limits.text_chars:
        raise Wrong(
            f"a text of input has more than {limits.text_chars} characters "
            "(gateway.embeddings.max_chars)",
            "input",
        )
    if sum(map(len, texts)) > limits.all_chars:
        raise Wrong(
            f"input has more than {limits.all_chars} characters in all "
            "(gateway.embeddings.max_all_chars)",
            "input",
        )
    return tuple(texts)


def _list(given: object) -> list[Any]:
    return cast("list[Any]", given) if isinstance(given, list) else []


def answer(wanted: Wanted, made: Embedded) -> bytes:
    """The answer, in OpenAI's shape."""
    vectors = cast("list[Any]", orjson.loads(made.vectors))
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    read_ = made.usage.input
    usage = {"prompt_tokens": read_, "total_tokens": read_}
    return orjson.dumps(
        {"object": "list", "data": data, "model": wanted.model, "usage": usage}
    )


def failed(made: NotEmbedded) -> Problem:
    """Why there are none, as a client is told."""
    match made.kind:
        case "budget":
            return Problem(
                status=429,
                type="insufficient_quota",
                message=made.message,
                code="budget_reached",
                retry=False,
            )
        case "rate_limit":
            return Problem(
                status=429,
                type="rate_limit_error",
                message=made.message,
                code="rate_limit_exceeded",
                retry_after=made.retry_after or 1.0,
            )
        case "invalid" | "context_length" | "model_not_found":
            return invalid(made.message, param="input", code=made.kind)
        case kind:
            passing = kind in ("overloaded", "network", "server")
            return Problem(
                status=502,
                type="api_error",
                message=made.message,
                code="provider_overloaded" if kind == "overloaded" else kind,
                retry=passing,
            )
