"""Where the node is that a command speaks to: on this machine, or behind a gateway."""

import argparse
import os
from pathlib import Path

from beamclaw.cli.client import Connection, connect
from beamclaw.contracts.shell import data_folder
from beamclaw.values import frozen


@frozen
class Place:
    """The node on the folder *data* of this machine, or the one whose gateway is at *url*."""

    data: Path
    url: str | None = None

    def __str__(self) -> str:
        """As it stands behind "the node"."""
        return f"on {self.data}" if self.url is None else f"at {self.url}"

    def connect(self) -> Connection:
        """Connect to it.

        Raises:
            CommandError: It is not there, or does not let one in; in words.
        """
        if self.url is None:
            return connect(self.data)
        from beamclaw.cli import remote  # noqa: PLC0415 -- a node here needs none of it

        return remote.connect(self.url)


def place(options: argparse.Namespace) -> Place:
    """What ``--data`` and ``--url`` say; a warning, once, if others can read the token.

    Raises:
        CommandError: There is no gateway at such an address.
    """
    if options.url is not None:
        from beamclaw.cli import remote  # noqa: PLC0415 -- as above

        remote.warn(options.url)
    return Place(data_folder(os.environ, options.data), options.url)
