"""A request for a chat completion, from JSON and headers to a checked :class:`Ask`."""

from collections.abc import Mapping
from typing import Any, Final, cast

from beamclaw.contracts.messages import ModelParams
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.ask import Ask, whom
from beamclaw.gateway.fields import Wrong, count, number, read_object, refuse, value_of
from beamclaw.gateway.openai.messages import read_messages
from beamclaw.gateway.openai.tools import (
    read_effort,
    read_format,
    read_stop,
    read_tools,
    with_tools,
)
from beamclaw.gateway.problem import Problem

# Fields that would change what the answer is, or what is in it.
_NOT_HERE: Final = {
    "functions": "they are called tools",
    "function_call": "it is called tool_choice",
    "logprobs": "providers are not asked for them",
    "top_logprobs": "providers are not asked for them",
    "logit_bias": "it belongs to one model, and an agent may use several",
    "audio": "answers are text",
    "web_search_options": "searching is the agent's own matter",
}


def read(
    body: object, headers: Mapping[str, str], agents: Agents, *, max_messages: int
) -> Ask | Problem:
    """What *body* and *headers* (lower case names) ask for."""
    return read_object(
        body, lambda fields: _read(fields, headers, agents, max_messages)
    )


def _read(
    body: dict[str, Any], headers: Mapping[str, str], agents: Agents, max_messages: int
) -> Ask:
    _refuse_what_is_not_here(body)
    model = value_of(body, "model", str) or "openclaw"
    user = value_of(body, "user", str)
    stream = value_of(body, "stream", bool) or False
    options = cast("dict[str, Any]", value_of(body, "stream_options", dict) or {})
    asked = whom(headers, agents, model=model, user=user)
    return Ask(
        agent=asked.agent,
        model=model,
        backend=asked.backend,
        session=asked.session,
        messages=read_messages(body.get("messages"), max_messages),
        params=_params(body),
        stream=stream,
        include_usage=stream and options.get("include_usage") is True,
        user=user,
        idempotency_key=asked.idempotency_key,
        queue=asked.queue,
    )


def _refuse_what_is_not_here(body: dict[str, Any]) -> None:
    refuse(body, _NOT_HERE)
    if body.get("n") not in (None, 1):
        raise Wrong("one answer is given per request: n must be 1", "n")
    if body.get("modalities") not in (None, [], ["text"]):
        raise Wrong("answers are text: modalities must be [text]", "modalities")
    if body.get("verbosity") not in (None, "medium"):
        raise Wrong(
            "verbosity is not passed on to models; say it in words", "verbosity"
        )


def _params(body: dict[str, Any]) -> ModelParams:
    limit = count(body, "max_completion_tokens", 1, 10**9)
    if limit is None:
        limit = count(body, "max_tokens", 1, 10**9)
    params = ModelParams(
        max_tokens=limit,
        temperature=number(body, "temperature", 0, 2),
        top_p=number(body, "top_p", 0, 1),
        presence_penalty=number(body, "presence_penalty", -2, 2),
        frequency_penalty=number(body, "frequency_penalty", -2, 2),
        seed=count(body, "seed", -(2**63), 2**63 - 1),
        stop=read_stop(body.get("stop")),
        thinking=read_effort(body, "reasoning_effort"),
        format=read_format(body.get("response_format"), "response_format", "chat"),
    )
    return with_tools(params, read_tools(body, "chat"))
