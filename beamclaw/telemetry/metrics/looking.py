"""What is only looked at when somebody asks: tables and figures that are there anyway.

Every look is a function that waits in nobody's mailbox; what is not there is left out.
"""

import gc
import resource
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast, get_args

import attrs
import trio

import supervision
from beamclaw import machine
from beamclaw.contracts import names
from beamclaw.contracts.gateway import NAME as GATEWAY
from beamclaw.contracts.gateway import GatewayStatus
from beamclaw.contracts.providers import BreakerState
from beamclaw.telemetry.metrics.looked import looked

# What a process says of itself, and the family of it.
_LEDGER: Final = {
    "commits": "beamclaw_ledger_commits_total",
    "transactions": "beamclaw_ledger_transactions_total",
    "waiting": "beamclaw_ledger_waiting",
    "reads_waiting": "beamclaw_ledger_reads_waiting",
}
_SESSIONS: Final = {
    "watching": "beamclaw_sessions_awake",
    "reviving": "beamclaw_sessions_reviving",
    "parked": "beamclaw_sessions_parked",
}
_PROVIDER: Final = {
    "in_use": "beamclaw_provider_in_use",
    "waiting": "beamclaw_provider_waiting",
    "limit": "beamclaw_provider_limit",
    "opens_in": "beamclaw_provider_reopen_seconds",
    "blocked_for": "beamclaw_provider_pause_seconds",
}
_GATEWAY: Final = {
    "connections": "beamclaw_gateway_connections",
    "requests": "beamclaw_gateway_requests",
    "streams": "beamclaw_gateway_streams",
    "accepted": "beamclaw_gateway_accepted_total",
    "shed": "beamclaw_gateway_shed_total",
    "intake": "beamclaw_gateway_intake",
}
_CLIENTS: Final = {
    "clients": "beamclaw_gateway_ws_clients",
    "greeted": "beamclaw_gateway_ws_greeted_total",
    "slow": "beamclaw_gateway_ws_slow_total",
}

# Of the table of families: a name, how it is now, and the values of its labels.
Put = Callable[..., None]


@attrs.define
class Looks:
    """Looks around; *most* series of each family."""

    started: float
    providers: tuple[str, ...] = ()
    tenants: tuple[str, ...] = (names.DEFAULT_TENANT,)
    most: int = 200

    def text(self) -> Iterator[str]:
        """The lines."""
        families = {family.name: family for family in looked(self.most)}

        def put(name: str, value: float, *labels: str) -> None:
            families[name].set(value, *labels)

        self._process(put)
        self._runtime(put)
        for tenant in self.tenants:
            self._tenant(put, tenant)
        for name in self.providers:
            self._provider(put, name)
        self._gateway(put)
        for family in families.values():
            yield from family.text()

    def _process(self, put: Put) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        put("process_cpu_seconds_total", usage.ru_utime + usage.ru_stime)
        put("process_start_time_seconds", self.started)
        memory, files = machine.resident(), machine.descriptors()
        if memory is not None:
            put("process_resident_memory_bytes", memory)
        if files is not None:
            put("process_open_fds", files)
        put("process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        collected = sum(each["collections"] for each in gc.get_stats())
        put("beamclaw_gc_collections_total", collected)

    def _runtime(self, put: Put) -> None:
        found = supervision.statistics()
        put("beamclaw_processes", found.processes)
        put("beamclaw_spawned_total", found.spawned)
        put("beamclaw_restarts_total", found.restarts)
        put("beamclaw_names", found.names)
        put("beamclaw_mailbox_messages", found.messages)
        tasks = trio.lowlevel.current_statistics()
        put("beamclaw_tasks", tasks.tasks_living, "living")
        put("beamclaw_tasks", tasks.tasks_runnable, "runnable")
        watched = state_of(names.WATCHDOG)
        for key, name in (
            ("lag", "beamclaw_loop_lag_last_seconds"),
            ("worst", "beamclaw_loop_lag_worst_seconds"),
        ):
            if isinstance(value := watched.get(key), float):
                put(name, value)

    def _tenant(self, put: Put, tenant: str) -> None:
        ledger = state_of(names.of_tenant(tenant, "ledger"))
        for key, name in _LEDGER.items():
            if key in ledger:
                put(name, cast("float", ledger[key]), tenant)
        if ledger:
            failing = float(bool(ledger.get("trouble")))
            put("beamclaw_ledger_failing", failing, tenant)
        door = state_of(names.of_tenant(tenant, "sessions"))
        for key, name in _SESSIONS.items():
            if key in door:
                put(name, cast("float", door[key]), tenant)

    def _provider(self, put: Put, provider: str) -> None:
        found: Mapping[str, Any] = state_of(f"providers/{provider}")
        if not found:
            return
        for key, name in _PROVIDER.items():
            put(name, found[key], provider)
        left_alone = float(found["breaker"] != "closed")
        put("beamclaw_provider_left_alone", left_alone, provider)
        for state in get_args(BreakerState):
            is_in = float(found["breaker"] == state)
            put("beamclaw_provider_breaker", is_in, provider, state)

    def _gateway(self, put: Put) -> None:
        found = state_of(GATEWAY)
        status, clients = found.get("status"), found.get("clients")
        if isinstance(status, GatewayStatus):
            for key, name in _GATEWAY.items():
                put(name, float(getattr(status, key)))
        if isinstance(clients, Mapping):
            figures = cast("Mapping[str, float]", clients)
            for key, name in _CLIENTS.items():
                put(name, figures[key])


def state_of(name: str) -> Mapping[str, object]:
    """What the process of that name says of itself; nothing, if there is none."""
    try:
        return supervision.state(name)
    except supervision.NoProcess:
        return {}
