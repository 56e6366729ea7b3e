"""What a verb of the command line is, and options that many have."""

from collections.abc import Sequence
from typing import Any


class Usage(Exception):  # noqa: N818 -- ends the command
    """The command line is wrong; the message says what would be right."""

    code = 2


class Option:
    """One option or argument of a verb; *settings* go to argparse."""

    def __init__(self, *names: str, **settings: Any) -> None:
        self.names = names
        self.settings = settings


class Verb:
    """One verb. *run* is ``module:function`` below this package."""

    def __init__(
        self,
        name: str,
        summary: str,
        run: str,
        options: Sequence[Option],
        examples: Sequence[tuple[str, str]],
    ) -> None:
        self.name = name
        self.summary = summary
        self.run = run
        self.options = options
        self.examples = examples


DATA = Option(
    "--data",
    metavar="DIR",
    help="the node's data folder (default: $BEAMCLAW_DATA, else ~/.beamclaw)",
)
JSON = Option("--json", action="store_true", help="print the result as JSON")
LAST_GOOD = Option(
    "--last-good",
    action="store_true",
    help="if the configuration cannot be used: start by the last one that could",
)
CONFIG = Option(
    "--config",
    metavar="FILE",
    help="the configuration (default: $BEAMCLAW_CONFIG, else beamclaw.yaml in the "
    "data folder, else none)",
)
