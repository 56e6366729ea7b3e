"""The supervisor of a tenant's commands."""

from functools import partial

import supervision
from beamclaw.commands.door import COOL_DOWN, DoorServer
from beamclaw.commands.launching import open_launcher
from beamclaw.commands.messages import Settings
from beamclaw.contracts import names
from beamclaw.contracts.outside import Outside


def supervisor(
    tenant: str,
    settings: Settings,
    outside: Outside,
    *beside: supervision.ChildSpec,
) -> supervision.Supervisor:
    """What starts commands, and those that run; neither needs the other to go on.

    *beside* are children that have something to do with them.
    """
    return supervision.Supervisor(
        [
            supervision.ChildSpec(
                "launcher",
                partial(
                    DoorServer, tenant, settings, outside.launcher or open_launcher
                ),
                name=names.of_tenant(tenant, "launcher"),
                cool_down=COOL_DOWN,
            ),
            supervision.ChildSpec(
                "running",
                supervision.DynamicSupervisor,
                name=names.of_tenant(tenant, "commands"),
                type="supervisor",
                shutdown=None,
            ),
            *beside,
        ],
        strategy="one_for_one",
    )
