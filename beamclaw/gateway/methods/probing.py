"""``models.probe``: whether a provider's keys work, by a tiny call with each of them."""

from typing import Annotated, Any, Final, Literal

from beamclaw.arguments import Range
from beamclaw.contracts.probes import Probe, Probed, probe
from beamclaw.gateway.auth.scopes import ADMIN
from beamclaw.gateway.errors import invalid, unavailable
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import checked_agent
from beamclaw.gateway.methods.offers import model_at
from beamclaw.values import frozen

Status = Literal[
    "ok", "auth", "rate_limit", "billing", "timeout", "format", "unknown", "no_model"
]
# What of several keys is told of the whole, where none works: the first that is there.
_WORST: Final[tuple[Status, ...]] = (
    "auth",
    "billing",
    "rate_limit",
    "timeout",
    "format",
    "no_model",
    "unknown",
)
# By a provider's class of errors; what is not here says nothing of the key.
_STATUS: Final[dict[str | None, Status]] = {
    None: "ok",
    "auth": "auth",
    "rate_limit": "rate_limit",
    "overloaded": "rate_limit",
    "quota": "billing",
    "timeout": "timeout",
    "invalid": "format",
    "context_length": "format",
    "model_not_found": "no_model",
}
MOST_MS: Final = 60_000


@frozen(kw_only=True)
class ProbeParams:
    """Which provider, and whose budget pays; so long may each key take."""

    provider: Text
    profile_id: Text | None = None
    timeout_ms: Annotated[int, Range(1, MOST_MS)] = 20_000
    agent_id: str | None = None


@method("models.probe", scope=ADMIN, params=ProbeParams)
async def models_probe(context: Context, params: ProbeParams) -> object:
    """Try a provider's keys, each with one call of a few tokens, which a budget pays."""
    agent = checked_agent(context, params.agent_id or None)
    agent = agent or context.node.agents.default
    config = context.node.config
    if params.provider not in config.providers:
        there = ", ".join(config.providers)
        given = params.provider[:64]
        raise invalid(f"there is no provider {given!r}; providers: {there}")
    if params.profile_id is not None:
        raise invalid("there are no profiles here; a provider's keys are all tried")
    model = model_at(config, agent, params.provider)
    if model is None:
        words = "no model of it is configured"
        whole = {"status": "no_model", "error": words}
        return {"provider": params.provider, **whole, "results": list[object]()}
    results = [
        _shown(await _tried(context, agent, params, (model, key)), model, key)
        for key in range(config.providers[params.provider].key_count)
    ]
    return {"provider": params.provider, **_whole(results), "results": results}


async def _tried(
    context: Context, agent: str, params: ProbeParams, what: tuple[str, int]
) -> Probed:
    model, key = what
    order = Probe(
        agent=agent,
        provider=params.provider,
        model=model,
        key=key,
        seconds=params.timeout_ms / 1000,
    )
    found = await probe(context.bus, context.tenant, order)
    if found.kind == "budget":
        raise unavailable(f"nothing was asked: {found.message}", reason="budget")
    return found


def _shown(found: Probed, model: str, key: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "label": f"key {key + 1}: {model}",
        "status": _STATUS.get(found.kind, "unknown"),
        "latencyMs": round(found.seconds * 1000),
    }
    return {**shown, "error": found.message} if found.kind else shown


def _whole(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a provider: it works if one of its keys does."""
    order = ("ok", *_WORST)
    best = min(results, key=lambda one: (order.index(one["status"]), one["latencyMs"]))
    return {name: best[name] for name in best if name != "label"}


METHODS: Final = (models_probe,)
