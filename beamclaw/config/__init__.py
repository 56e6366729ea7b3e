"""What people set: the schema, the loader, and the process that holds the result."""

from beamclaw.config.problems import ConfigError, Problem
from beamclaw.config.schema import Config
from beamclaw.config.server import ConfigServer, Origin

__all__ = ["Config", "ConfigError", "ConfigServer", "Origin", "Problem"]
