"""The supervisor of a tenant's runs."""

from collections.abc import Callable, Mapping
from functools import partial

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.providers import Connect
from beamclaw.runs.clients import Clients, ClientsServer, always
from beamclaw.runs.embedding import EmbeddingServer
from beamclaw.runs.flush import flush
from beamclaw.runs.wiring import Wiring


def supervisor(
    wiring: Callable[[], Wiring],
    connect: Connect,
    loading: Callable[[], Mapping[str, Loading]] = dict,
    settings: Callable[[str], object] = always,
) -> supervision.Supervisor:
    """Connections, flusher, the task supervisor of the runs themselves, and embeddings.

    *wiring* is what holds now, of which tenant and flusher never change.

    *loading* is what a connection has to wait for, by the provider's name; *settings*
    what it is made by.

    one_for_one: a run survives the restart of either; its stream goes on.
    """
    tenant, flusher = wiring().tenant, wiring().flusher
    name = names.of_tenant(tenant, "clients")
    turns = names.of_tenant(tenant, "runs")
    clients = Clients(connect, loading, settings)
    return supervision.Supervisor(
        [
            supervision.ChildSpec(
                "clients",
                partial(ClientsServer, name, clients, turns),
                name=name,
            ),
            supervision.ChildSpec("flush", partial(flush, flusher)),
            supervision.ChildSpec(
                "turns",
                supervision.TaskSupervisor,
                name=turns,
                type="supervisor",
                shutdown=None,
            ),
            supervision.ChildSpec(
                "embeddings",
                partial(EmbeddingServer, wiring),
                name=names.of_tenant(tenant, "embeddings"),
            ),
        ],
        strategy="one_for_one",
    )
