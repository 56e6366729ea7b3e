"""What of ``hooks`` would let in somebody who is not meant, or leads nowhere."""

from collections.abc import Iterator

from beamclaw.config.auth_checks import SHORTEST_SECRET
from beamclaw.config.schema import Config
from beamclaw.contracts import keys

Found = Iterator[tuple[str, str]]


def errors(config: Config) -> Found:
    """What cannot be used."""
    hooks = config.hooks
    if hooks.enabled:
        yield from _token(config)
    for place, agent in enumerate(hooks.agents):
        if agent not in config.agents:
            yield f"hooks.agents[{place}]", f"there is no agent {agent!r}"
    for name, mapping in hooks.mappings.items():
        path = f"hooks.mappings.{name}"
        if mapping.agent is not None and mapping.agent not in config.agents:
            yield f"{path}.agent", f"there is no agent {mapping.agent!r}"
        if not mapping.message.strip():
            yield f"{path}.message", "is empty, so there is nothing to say"
        if mapping.session is not None:
            yield from _session(f"{path}.session", mapping.session)


def _token(config: Config) -> Found:
    path, auth, token = "hooks.token", config.gateway.auth, config.hooks.token
    if token is None:
        yield path, "is missing; hooks need one, better as ${VARIABLE}"
        return
    value = token.reveal()
    if len(value) < SHORTEST_SECRET or not (value.isascii() and value.isprintable()):
        yield path, f"has to be at least {SHORTEST_SECRET} visible ASCII characters"
    others = (auth.token, auth.password)
    if any(other.matches(value) for other in others if other is not None):
        yield path, "is a secret of the gateway; hooks need one of their own"


def _session(path: str, session: str) -> Found:
    try:
        key = keys.resolve_outside(session, "main")
    except keys.BadKey as bad:
        yield path, str(bad)
        return
    if key.rest[0] != "hook" or session.startswith("agent:"):
        yield path, "has to begin with hook:, as hook:mail"
