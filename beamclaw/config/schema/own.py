"""An agent's own keys over the node's: the one rule for all of them."""

from typing import TypeVar, cast

import attrs

from beamclaw.config.schema.agents import AgentConfig
from beamclaw.config.schema.node import Config

T = TypeVar("T")


def own_of(config: Config, agent: str) -> AgentConfig:
    """What an agent has of its own. One that nobody configured has nothing."""
    return config.agents.get(agent) or AgentConfig()


def over(node: T, own: object) -> T:
    """What holds where an agent has *own* and the node has *node*.

    Nothing of its own: the node's. The same kind of thing: its own, as a whole. A value
    that may say less than the node's, each key of which may be None: the node's, with
    the keys that it does say.
    """
    if own is None:
        return node
    if not attrs.has(type(own)) or type(own) is type(node):
        return cast("T", own)
    said = attrs.asdict(cast("attrs.AttrsInstance", own), recurse=False)
    given = {name: value for name, value in said.items() if value is not None}
    return cast("T", attrs.evolve(cast("attrs.AttrsInstance", node), **given))
