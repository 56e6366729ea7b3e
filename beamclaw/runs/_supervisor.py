"""The supervisor of a tenant's runs."""

from functools import partial

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.providers import Connect
from beamclaw.runs.clients import ClientsServer
from beamclaw.runs.flush import flush
from beamclaw.runs.run import Wiring


def supervisor(wiring: Wiring, connect: Connect) -> supervision.Supervisor:
    """Connections, flusher and the task supervisor of the runs themselves.

    one_for_one: a run survives the restart of either (a stream on a connection that
    was closed under it fails as a network error and is tried again).
    """
    clients = names.of_tenant(wiring.tenant, "clients")
    return supervision.Supervisor(
        [
            supervision.ChildSpec(
                "clients", partial(ClientsServer, clients, connect), name=clients
            ),
            supervision.ChildSpec("flush", partial(flush, wiring.flusher)),
            supervision.ChildSpec(
                "turns",
                supervision.TaskSupervisor,
                name=names.of_tenant(wiring.tenant, "runs"),
                type="supervisor",
                shutdown=None,
            ),
        ],
        strategy="one_for_one",
    )
