"""Where an agent works: its workspace, and what stands in the files at its top."""

from pathlib import Path
from typing import Final

from beamclaw.config.schema import Config, own_of
from beamclaw.contracts import keys

WORKSPACE: Final = "workspace"
WORKSPACES: Final = "workspaces"


def workspace_of(config: Config, agent: str) -> Path:
    """The workspace of *agent*, absolute; it may not be there yet."""
    chosen = own_of(config, agent).workspace
    if chosen is None:
        chosen = Path(WORKSPACE) if agent == keys.MAIN else Path(WORKSPACES) / agent
    return (config.data / chosen).absolute()
