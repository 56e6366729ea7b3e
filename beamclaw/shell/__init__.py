"""The node's socket for commands: ``beamclaw chat``, ``status``, ``tree``.

First up and last down: while anything of the node lives, it can be looked at. Nothing
here waits in the mailbox of what it shows.
"""

from collections.abc import Callable, Sequence
from functools import partial

import supervision
from beamclaw.config.current import Current
from beamclaw.config.installed import Fault
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.looking import Look
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.toolbox import Caller, Toolbox
from beamclaw.shell.connection import CONNECTIONS
from beamclaw.shell.listener import listen
from beamclaw.shell.passing import look
from beamclaw.shell.request import Node, no_toolbox

MAX_CONNECTIONS = 256


def looks(
    current: Current,
    bus: Bus,
    outside: Outside,
    toolbox: Callable[[Caller], Toolbox] = no_toolbox,
) -> Look:
    """The way in for those who do not come by the socket."""
    node = Node(current=current, bus=bus, outside=outside, toolbox=toolbox)
    return partial(look, node)


def supervisor(
    current: Current,
    bus: Bus,
    outside: Outside,
    toolbox: Callable[[Caller], Toolbox] = no_toolbox,
    faults: Sequence[Fault] = (),
    *,
    loading: Loading | None = None,
) -> supervision.Supervisor:
    """The subtree ``shell``; it shows the tools in *toolbox*, and *faults* of packages.

    *loading* is what the tools have to wait for.

    one_for_one: connections go on while the socket is made again. Stopping closes the
    socket first.
    """
    connections = partial(supervision.DynamicSupervisor, max_children=MAX_CONNECTIONS)
    node = Node(
        current=current,
        bus=bus,
        outside=outside,
        toolbox=toolbox,
        loading=loading or Loading(),
        faults=faults,
    )
    return supervision.Supervisor(
        [
            supervision.ChildSpec(
                "connections",
                connections,
                name=CONNECTIONS,
                type="supervisor",
                shutdown=None,
            ),
            supervision.ChildSpec("listener", partial(listen, node), name="shell"),
        ],
        strategy="one_for_one",
    )


__all__ = ["looks", "supervisor"]
