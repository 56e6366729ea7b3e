"""What is configured, for commands that need no secret of it."""

import argparse
import os

from beamclaw.config.loader import load
from beamclaw.config.schema import Config
from beamclaw.config.secret_reading import NotReading


def configured(options: argparse.Namespace) -> Config:
    """The configuration that the options name; secrets elsewhere are not fetched.

    Raises:
        ConfigError: It cannot be used.
    """
    return load(
        os.environ, file=options.config, data=options.data, secrets=NotReading()
    ).config
