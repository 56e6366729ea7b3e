"""``POST /v1/responses``: a request, from JSON and headers to a checked :class:`Ask`."""

from collections.abc import Mapping
from typing import Any, Final, cast

from beamclaw.contracts.messages import ModelParams
from beamclaw.contracts.sessions import RunEnded
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.ask import Ask, whom
from beamclaw.gateway.fields import (
    Wrong,
    count,
    members,
    number,
    read_object,
    refuse,
    value_of,
)
from beamclaw.gateway.openai import answer, response
from beamclaw.gateway.openai.input import read_input
from beamclaw.gateway.openai.response import ResponseEvents
from beamclaw.gateway.openai.tools import (
    read_effort,
    read_format,
    read_tools,
    with_tools,
)
from beamclaw.gateway.problem import Problem
from beamclaw.values import frozen

MAX_METADATA: Final = 16
_MOST_KEY: Final = 64
_MOST_VALUE: Final = 512
_NOT_HERE: Final = {
    "conversation": "name the response before by previous_response_id",
    "prompt": "templates are not kept here; say it in instructions",
    "max_tool_calls": "how many tools an agent may use is configured",
    "top_logprobs": "providers are not asked for them",
    "context_management": "a conversation that grows too long is summed up by itself",
}
# What is repeated in answers as it was given.
_REPEATED: Final = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
    "user",
)


@frozen(kw_only=True)
class Responses:
    """See :class:`beamclaw.gateway.api.Api`."""

    agents: Agents
    max_messages: int
    prefix: str = "resp_"

    def read(self, body: object, headers: Mapping[str, str]) -> Ask | Problem:
        """See the Protocol."""
        return read_object(body, lambda fields: self._read(fields, headers))

    def _read(self, body: dict[str, Any], headers: Mapping[str, str]) -> Ask:
        _refuse_what_is_not_here(body)
        model = value_of(body, "model", str) or "openclaw"
        user = value_of(body, "user", str)
        previous = value_of(body, "previous_response_id", str)
        stored = value_of(body, "store", bool) is not False
        background = value_of(body, "background", bool) or False
        if background and not stored:
            raise Wrong("what runs in the background has to be stored", "background")
        asked = whom(headers, self.agents, model=model, user=user)
        return Ask(
            agent=asked.agent,
            model=model,
            backend=asked.backend,
            session=asked.session,
            messages=read_input(
                body.get("input"), self.max_messages, follows=previous is not None
            ),
            params=_params(body),
            stream=value_of(body, "stream", bool) or False,
            user=user,
            idempotency_key=asked.idempotency_key,
            queue=asked.queue,
            stored=stored,
            previous=previous,
            background=background,
            about=_about(body, model, stored=stored, background=background),
        )

    def events(self, run_id: str, ask: Ask, created: int) -> ResponseEvents:
        """See the Protocol."""
        return ResponseEvents(run_id, {**ask.about, "created_at": created})

    def whole(self, ask: Ask, end: RunEnded, created: int) -> bytes | Problem:
        """See the Protocol."""
        problem = answer.failed(end, ephemeral=ask.ephemeral)
        about = {**ask.about, "created_at": created}
        return problem or response.whole(end.run_id, about, end)

    def kept(self, run_id: str, ask: Ask, created: int) -> bytes:
        """See the Protocol."""
        return response.open_(run_id, {**ask.about, "created_at": created}, "queued")


def _refuse_what_is_not_here(body: dict[str, Any]) -> None:
    refuse(body, _NOT_HERE)
    if body.get("truncation") not in (None, "auto", "disabled"):
        raise Wrong("truncation must be auto or disabled", "truncation")
    if members(body.get("text")).get("verbosity") not in (None, "medium"):
        raise Wrong(
            "verbosity is not passed on to models; say it in words", "text.verbosity"
        )


def _params(body: dict[str, Any]) -> ModelParams:
    text = cast("dict[str, Any]", value_of(body, "text", dict) or {})
    reasoning = cast("dict[str, Any]", value_of(body, "reasoning", dict) or {})
    params = ModelParams(
        max_tokens=count(body, "max_output_tokens", 1, 10**9),
        temperature=number(body, "temperature", 0, 2),
        top_p=number(body, "top_p", 0, 1),
        thinking=read_effort(reasoning, "effort"),
        format=read_format(text.get("format"), "text.format", "responses"),
        instructions=value_of(body, "instructions", str) or "",
    )
    return with_tools(params, read_tools(body, "responses"))


def _about(
    body: dict[str, Any], model: str, *, stored: bool, background: bool
) -> dict[str, Any]:
    """What every answer repeats of the request."""
    metadata = cast("dict[str, object]", value_of(body, "metadata", dict) or {})
    right = len(metadata) <= MAX_METADATA and all(
        len(key) <= _MOST_KEY and isinstance(value, str) and len(value) <= _MOST_VALUE
        for key, value in metadata.items()
    )
    if not right:
        raise Wrong(
            f"metadata is at most {MAX_METADATA} texts of at most {_MOST_VALUE} "
            f"characters, under names of at most {_MOST_KEY}",
            "metadata",
        )
    given = {name: body[name] for name in _REPEATED if body.get(name) is not None}
    if body.get("stream"):
        given[response.STREAMED] = True
    return {"model": model, "store": stored, "background": background, **given}
