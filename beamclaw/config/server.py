"""The process ``config``: holds the configuration that the node runs by.

Read once, before the tree starts; whoever wants to know looks at the registry's value
and waits for nobody: ``supervision.lookup("config").value``.
"""

from collections.abc import Mapping
from typing import Final

import supervision
from beamclaw.config.reference import plain
from beamclaw.config.schema import Config

NAME: Final = "config"


class ConfigServer(supervision.Server):
    """See the module. Takes its configuration with it into every new life."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def init(self) -> None:
        """Publish the configuration under the process's name."""
        supervision.update_value(NAME, self._config)

    def describe(self) -> Mapping[str, object]:
        """The configuration, secrets left out."""
        return plain(self._config)
