"""The supervisor of a tenant's sessions."""

from functools import partial

import supervision
from beamclaw.contracts import names
from beamclaw.sessions.cleanup import Cleanup
from beamclaw.sessions.door import Door
from beamclaw.sessions.snapshots import Snapshots
from beamclaw.sessions.wiring import Wiring

# Clearing up can wait; it takes nobody with it.
COOL_DOWN = supervision.CoolDown(first=1.0, factor=2.0, most=60.0, jitter=0.1)


def supervisor(wiring: Wiring) -> supervision.Supervisor:
    """Sessions, their door, who makes snapshots of them, and who clears up behind them.

    one_for_one: sessions go on while the door is away, and a door that comes back
    finds them by name. Without snapshots nothing is lost but time.
    """
    awake = partial(
        supervision.DynamicSupervisor, max_children=wiring.settings.max_awake
    )
    return supervision.Supervisor(
        [
            # First, so that it is there for whoever wakes up.
            supervision.ChildSpec(
                "snapshots",
                partial(Snapshots, wiring.tenant),
                name=names.of_tenant(wiring.tenant, "snapshots"),
            ),
            supervision.ChildSpec(
                "awake",
                awake,
                name=names.of_tenant(wiring.tenant, "awake"),
                type="supervisor",
                shutdown=None,
            ),
            supervision.ChildSpec(
                "door",
                partial(Door, wiring),
                name=names.of_tenant(wiring.tenant, "sessions"),
            ),
            supervision.ChildSpec(
                "cleanup",
                partial(Cleanup, wiring),
                name=names.of_tenant(wiring.tenant, "cleanup"),
                cool_down=COOL_DOWN,
            ),
        ],
        strategy="one_for_one",
    )
