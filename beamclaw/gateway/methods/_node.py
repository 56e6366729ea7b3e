"""What the gateway is made of, as its methods see it: values and tables, no processes."""

from collections.abc import Callable

import attrs

from beamclaw.config.schema import Config
from beamclaw.contracts.outside import Worker
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.hall import Hall
from beamclaw.gateway.honour import Check


@attrs.frozen(kw_only=True)
class Node:
    """See the module.

    Attributes:
        check: See :data:`~beamclaw.gateway.honour.Check`.
        version: Of BeamClaw.
        reader: Does what takes long, away from the loop.
    """

    config: Config
    floor: Floor
    hall: Hall
    agents: Agents
    check: Check
    version: Callable[[], str]
    reader: Worker
