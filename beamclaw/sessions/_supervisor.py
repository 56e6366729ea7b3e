"""The supervisor of a tenant's sessions."""

from functools import partial

import supervision
from beamclaw.contracts import names
from beamclaw.sessions.door import Door
from beamclaw.sessions.snapshots import Snapshots
from beamclaw.sessions.wiring import Wiring


def supervisor(wiring: Wiring) -> supervision.Supervisor:
    """Sessions, their door, and who makes snapshots of them.

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
        ],
        strategy="one_for_one",
    )
