"""What a client asks for that the agent's model cannot do: refused, never passed over."""

from collections.abc import Callable

from beamclaw.agents import AgentDefinition, resolve
from beamclaw.config.schema import Config
from beamclaw.contracts.messages import ModelParams
from beamclaw.gateway.fields import Wrong

Check = Callable[[str, str | None, ModelParams], AgentDefinition]
"""For an agent (first), a model in place of its own (second) and what is set for it.

Raises ``LookupError``, in words, where one of the first two names nothing that is
configured, and :class:`~beamclaw.gateway.fields.Wrong` where the third cannot be done.
"""


def check(
    config: Config, agent: str, backend: str | None, params: ModelParams
) -> AgentDefinition:
    """See :data:`Check`. Of the agent's models the first counts, not its fallbacks."""
    definition = resolve(config, agent, backend)
    api = config.providers[definition.provider].api
    for field, why in _lacking(api, params):
        raise Wrong(
            f"{field} cannot be honoured: {definition.provider}/{definition.model} "
            f"{why}; leave it out, or choose another model by x-openclaw-model",
            field,
            "unsupported_parameter",
        )
    return definition


def _lacking(api: str, params: ModelParams) -> list[tuple[str, str]]:
    """Which fields a provider that speaks *api* does not have, and why."""
    found: list[tuple[str, str]] = []
    if api == "anthropic":
        found += [
            (field, "knows no such parameter")
            for field in ("presence_penalty", "frequency_penalty", "seed")
            if getattr(params, field)  # a penalty of nought is none
        ]
        if (params.temperature or 0) > 1:
            found.append(("temperature", "takes 1 at most"))
        if params.format is not None and params.format.schema is None:
            found.append(("response_format", "writes JSON only by a schema"))
    if api == "demo":
        if params.format is not None:
            found.append(("response_format", "follows a script, and no schema"))
        if params.choice is not None:
            found.append(("tool_choice", "calls the tools of its script"))
    return found
