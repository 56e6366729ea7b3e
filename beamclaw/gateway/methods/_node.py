"""What the gateway is made of, as its methods see it: values and tables, no processes."""

from collections.abc import Callable
from typing import Final

import attrs

from beamclaw.config.current import Current
from beamclaw.config.schema import Config
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.looking import Look, nothing
from beamclaw.contracts.outside import Worker
from beamclaw.contracts.toolbox import Caller, Toolbox
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.hall import Hall
from beamclaw.gateway.honour import Check
from beamclaw.values import frozen

# Tokens of a model of which nothing is known.
WINDOW: Final = 128_000


def _no_tools(caller: Caller) -> Toolbox:
    del caller
    return Toolbox({})


def _unknown(provider: str, model: str) -> int:
    del provider, model
    return WINDOW


@frozen(kw_only=True)
class Means:
    """What the agents of this node have to work with.

    Attributes:
        toolbox: The tools of a turn, when *loading* is over.
        loading: Of what they are made of.
        window: Tokens that a model (provider, model) reads and writes at most.
        look: Looks into this node.
    """

    toolbox: Callable[[Caller], Toolbox] = _no_tools
    loading: Loading = attrs.field(factory=Loading)
    window: Callable[[str, str], int] = _unknown
    look: Look = nothing


@frozen(kw_only=True)
class Node:
    """See the module.

    Attributes:
        current: The configuration in force.
        check: See :data:`~beamclaw.gateway.honour.Check`.
        version: Of BeamClaw.
        reader: Does what takes long, away from the loop.
        disk: Looks at files that may lie on a disk that does not answer.
        means: What agents have.
    """

    current: Current
    floor: Floor
    hall: Hall
    agents: Agents
    check: Check
    version: Callable[[], str]
    reader: Worker
    disk: Worker
    means: Means = attrs.field(factory=Means)

    @property
    def config(self) -> Config:
        """The configuration that holds now."""
        return self.current.config
