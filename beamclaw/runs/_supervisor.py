"""The supervisor of a tenant's runs."""

from collections.abc import Mapping
from functools import partial

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.providers import Connect
from beamclaw.runs.clients import Clients, ClientsServer
from beamclaw.runs.embedding import EmbeddingServer
from beamclaw.runs.flush import flush
from beamclaw.runs.wiring import Wiring


def supervisor(
    wiring: Wiring, connect: Connect, loading: Mapping[str, Loading] | None = None
) -> supervision.Supervisor:
    """Connections, flusher, the task supervisor of the runs themselves, and embeddings.

    *loading* is what a connection has to wait for, by the provider's name.

    one_for_one: a run survives the restart of either; its stream goes on.
    """
    name = names.of_tenant(wiring.tenant, "clients")
    return supervision.Supervisor(
        [
            supervision.ChildSpec(
                "clients",
                partial(ClientsServer, name, Clients(connect, loading or {})),
                name=name,
            ),
            supervision.ChildSpec("flush", partial(flush, wiring.flusher)),
            supervision.ChildSpec(
                "turns",
                supervision.TaskSupervisor,
                name=names.of_tenant(wiring.tenant, "runs"),
                type="supervisor",
                shutdown=None,
            ),
            supervision.ChildSpec(
                "embeddings",
                partial(EmbeddingServer, wiring),
                name=names.of_tenant(wiring.tenant, "embeddings"),
            ),
        ],
        strategy="one_for_one",
    )
