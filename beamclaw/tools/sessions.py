"""The tools that are about sessions and agents, made for one agent."""

from collections.abc import Iterable

from beamclaw.config import Config
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.subagents import Rules
from beamclaw.contracts.toolbox import AnyTool


def session_tools(
    config: Config, outside: Outside, rules: Rules, tenant: str, agent: str
) -> Iterable[AnyTool]:
    """Those of *agent*."""
    # A node has to be listening soon, and its first turn is later.
    from beamclaw.toolkit import tools_of  # noqa: PLC0415
    from beamclaw.tools.outputs import Outputs  # noqa: PLC0415
    from beamclaw.tools.session_acts import session_acts  # noqa: PLC0415
    from beamclaw.tools.session_looks import Looks  # noqa: PLC0415

    agents = config.agents.items()
    looks = Looks(
        tenant=tenant,
        agent=agent,
        rules=rules,
        agents={id_: each.name for id_, each in agents},
        models={id_: each.model or config.chosen.model for id_, each in agents},
        outside=outside,
    )
    # Where nothing is kept of what is cut, nothing could be read.
    outputs = Outputs(tenant=tenant, most=config.tools.max_result)
    reads = tools_of(outputs) if config.tools.max_kept else ()
    return (*tools_of(looks), *reads, *session_acts())
