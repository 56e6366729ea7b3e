"""Pages of the internet, fetched for agents: see ``docs/how-to/web-fetch.md``."""

from collections.abc import Iterable

from beamclaw.config import Config
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.sandbox import Sandbox
from beamclaw.contracts.tools import Tool

__all__ = ["web_tools"]


def web_tools(
    config: Config, outside: Outside, tenant: str, sandbox: Sandbox | None = None
) -> Iterable[Tool]:
    """Those of an agent of *tenant*; in *sandbox*, if there is one, pages are read."""
    # A node has to be listening soon, and its first turn is later.
    from beamclaw.toolkit import tools_of  # noqa: PLC0415
    from beamclaw.web.dialing import Internet  # noqa: PLC0415
    from beamclaw.web.tools import WebTools  # noqa: PLC0415

    dialer = Internet(outside)
    return tools_of(WebTools(tenant, config.tools.web, outside, dialer, sandbox))
