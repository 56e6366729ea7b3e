"""An agent is a definition, not a process: settled when a turn begins, kept by hash."""

import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

import attrs

from beamclaw.config.schema import AgentConfig, Config, ProviderConfig
from beamclaw.values import frozen


class UnknownAgent(LookupError):  # noqa: N818 -- a situation
    """No such agent; the message lists those that exist."""


class Unready(LookupError):  # noqa: N818 -- a situation
    """What the agent is to be told cannot be read; the message says why."""


class UnknownModel(LookupError):  # noqa: N818 -- a situation
    """No such provider, or no model named; the message says how to write it."""


def _pairs(given: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Pairs as they come from JSON, too."""
    return tuple((first, second) for first, second in given)


@frozen(kw_only=True)
class AgentDefinition:
    """All that a turn has to know of its agent, to its end, whatever is set since."""

    id: str
    provider: str
    model: str
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    fallbacks: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_pairs)
    # What its commands get for its skills: each variable, and which skill. No values.
    variables: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_pairs)

    def model_at(self, link: int) -> tuple[str, str]:
        """Provider and model: 0 the agent's own, then its fallbacks in order."""
        if not link or not self.fallbacks:
            return self.provider, self.model
        return self.fallbacks[min(link, len(self.fallbacks)) - 1]

    @functools.cached_property
    def body(self) -> bytes:
        """The definition as JSON: sorted, without blanks, the same on every machine."""
        return _body(self)

    @functools.cached_property
    def hash(self) -> str:
        """The SHA-256 of :attr:`body`, in hex: what the ledger keeps it under."""
        return _hash(self.body)

    @classmethod
    def load(cls, body: bytes) -> "AgentDefinition":
        """Read :attr:`body` again; keys of a later version are left out.

        Raises:
            ValueError: These bytes are no definition.
        """
        return _load(body)


# A turn writes its definition and reads it again, and that of the next turn is the same
# most of the time. As many as there may be agents at work, each as long as its prompt.
_once = functools.lru_cache(maxsize=32)


@_once
def _body(definition: AgentDefinition) -> bytes:
    facts = attrs.asdict(definition)
    if not definition.variables:
        # A definition from before there were any keeps its hash.
        del facts["variables"]
    return json.dumps(
        facts,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


@_once
def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@_once
def _load(body: bytes) -> AgentDefinition:
    raw: object = json.loads(body)
    if not isinstance(raw, dict):
        raise ValueError("an agent definition is a JSON object")  # noqa: TRY004 -- the bytes are wrong, not the caller
    known = cast("dict[str, Any]", raw)
    names = [field.name for field in attrs.fields(AgentDefinition)]
    try:
        return AgentDefinition(**{name: known[name] for name in names if name in known})
    except TypeError as error:
        raise ValueError(f"not an agent definition: {error}") from None


def resolve(
    config: Config, agent_id: str, model_override: str | None = None
) -> AgentDefinition:
    """The definition that a turn of *agent_id* uses.

    Args:
        config: The configuration.
        agent_id: Which agent.
        model_override: ``provider/model``, a provider, or one of the models listed
            under the agent's own provider; in place of the agent's.

    Raises:
        UnknownAgent: Whoever asked named an agent that is not configured.
        UnknownModel: The model's provider is not configured.
    """
    agent = config.agents.get(agent_id)
    if agent is None:
        raise UnknownAgent(
            f"there is no agent {agent_id!r}; agents: {_listed(config.agents)}"
        )
    provider, model = _model(config, agent, model_override)
    return AgentDefinition(
        id=agent_id,
        provider=provider,
        model=model,
        system=agent.system,
        max_tokens=agent.max_tokens,
        temperature=agent.temperature,
        fallbacks=tuple(_split_model(config, name) for name in agent.fallbacks),
    )


def _model(config: Config, agent: AgentConfig, override: str | None) -> tuple[str, str]:
    own = agent.model or config.chosen.model
    if override is None:
        return _split_model(config, own)
    provider, _ = _split_model(config, own)
    if override in config.providers[provider].models:
        return provider, override
    return _split_model(config, override)


def _split_model(config: Config, name: str) -> tuple[str, str]:
    """Provider and model of ``provider/model`` or ``provider``."""
    provider, slash, model = name.partition("/")
    known: ProviderConfig | None = config.providers.get(provider)
    if known is None:
        raise UnknownModel(
            f"the model {name!r} names no configured provider; write it as "
            f"provider/model, providers: {_listed(config.providers)}"
        )
    if slash and not model:
        raise UnknownModel(f"the model {name!r} ends after the provider's name")
    return provider, model or known.chosen_model


def _listed(names: object) -> str:
    return ", ".join(sorted(cast("dict[str, object]", names)))
