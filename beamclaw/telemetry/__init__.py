"""What the node tells of itself; here: its log, on standard error.

Everything in the node tells by ``supervision.emit``, a function call that neither waits
nor fails. This subtree holds the sinks that listen; without them the few lines that
matter go to the standard library's logger.
"""

from functools import partial

import supervision
from beamclaw.config.redactor import redactor
from beamclaw.config.schema import Config
from beamclaw.contracts.outside import Outside
from beamclaw.telemetry.events import READY
from beamclaw.telemetry.server import LogServer
from beamclaw.telemetry.sink import LogSettings

# A sink is tried again for ever: silence is no reason to take the node down.
COOL_DOWN = supervision.CoolDown(first=1.0, factor=2.0, most=60.0, jitter=0.1)


def supervisor(config: Config, outside: Outside) -> supervision.Supervisor:
    """The subtree ``telemetry``: one child per sink."""
    settings = LogSettings(
        level=config.logging.level,
        format=config.logging.format,
        redactor=redactor(config),
        wall=outside.wall,
        threads=outside.threads,
    )
    return supervision.Supervisor(
        [
            supervision.ChildSpec(
                "log", partial(LogServer, settings), name="telemetry/log"
            )
        ],
        strategy="one_for_one",
        cool_down=COOL_DOWN,
    )


__all__ = ["READY", "supervisor"]
