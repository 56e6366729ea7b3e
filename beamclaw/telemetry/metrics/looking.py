"""What is only looked at when somebody asks: tables and figures that are there anyway.

Every look is a function that waits in nobody's mailbox; what is not there is left out.
"""

import gc
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

import attrs
import trio

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.gateway import NAME as GATEWAY
from beamclaw.contracts.gateway import GatewayStatus
from beamclaw.contracts.providers import BreakerState
from beamclaw.telemetry.metrics.families import Family, Labels

_FILES: Final = Path("/proc/self/fd")
_MEMORY: Final = Path("/proc/self/statm")
_LEDGER: Final = {
    "commits": ("counter", "beamclaw_ledger_commits_total", "Commits."),
    "transactions": (
        "counter",
        "beamclaw_ledger_transactions_total",
        "Transactions; each holds what was committed at once.",
    ),
    "waiting": ("gauge", "beamclaw_ledger_waiting", "Commits that wait."),
    "reads_waiting": ("gauge", "beamclaw_ledger_reads_waiting", "Reads that wait."),
}
_SESSIONS: Final = {
    "watching": ("beamclaw_sessions_awake", "Sessions that have a process."),
    "reviving": ("beamclaw_sessions_reviving", "Sessions that are brought back."),
    "parked": ("beamclaw_sessions_parked", "Sessions with work and no place."),
}
_GATEWAY: Final = (
    ("gauge", "connections", "Connections."),
    ("gauge", "requests", "Requests in progress."),
    ("gauge", "streams", "Streams in progress."),
    ("counter", "accepted", "Connections since the gateway started."),
    ("counter", "shed", "Connections closed to make room for others."),
)
_CLIENTS: Final = (
    ("gauge", "clients", "Clients of the WebSocket protocol."),
    ("counter", "greeted", "Clients that were let in."),
    ("counter", "slow", "Clients that were cut off, reading too slowly."),
)


@attrs.define
class Looks:
    """Looks around; *most* series of each family."""

    started: float
    providers: tuple[str, ...] = ()
    tenants: tuple[str, ...] = (names.DEFAULT_TENANT,)
    most: int = 200

    def text(self) -> Iterator[str]:
        """The lines."""
        families = list[Family]()

        def put(
            kind: str,
            name: str,
            doc: str,
            value: float,
            labels: Mapping[str, object] | None = None,
        ) -> None:
            named: Labels = tuple(labels or ())
            found = next((each for each in families if each.name == name), None)
            if found is None:
                found = Family(name, kind, doc, named, most=self.most)
                families.append(found)
            found.set(value, *(labels or {}).values())

        self._process(put)
        self._runtime(put)
        for tenant in self.tenants:
            self._tenant(put, tenant)
        for name in self.providers:
            self._provider(put, name)
        self._gateway(put)
        for family in families:
            yield from family.text()

    def _process(self, put: Callable[..., None]) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        put(
            "counter",
            "process_cpu_seconds_total",
            "CPU time of the node.",
            usage.ru_utime + usage.ru_stime,
        )
        start = "process_start_time_seconds"
        put("gauge", start, "When it began, seconds since the epoch.", self.started)
        resident = _resident()
        if resident is not None:
            name = "process_resident_memory_bytes"
            put("gauge", name, "Memory that the node occupies.", resident)
        descriptors = _descriptors()
        if descriptors is not None:
            put("gauge", "process_open_fds", "Open file descriptors.", descriptors)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        put("gauge", "process_max_fds", "File descriptors at most.", most)
        collected = sum(each["collections"] for each in gc.get_stats())
        name = "beamclaw_gc_collections_total"
        put("counter", name, "Runs of Python's collector.", collected)

    def _runtime(self, put: Callable[..., None]) -> None:
        found = supervision.statistics()
        for kind, name, doc, value in (
            ("gauge", "processes", "Processes that are alive.", found.processes),
            ("counter", "spawned_total", "Processes ever started.", found.spawned),
            ("counter", "restarts_total", "Restarts by supervisors.", found.restarts),
            ("gauge", "names", "Registered names.", found.names),
            ("gauge", "mailbox_messages", "Messages that wait.", found.messages),
        ):
            put(kind, f"beamclaw_{name}", doc, value)
        tasks = trio.lowlevel.current_statistics()
        for state, count in (
            ("living", tasks.tasks_living),
            ("runnable", tasks.tasks_runnable),
        ):
            put("gauge", "beamclaw_tasks", "Trio's tasks.", count, {"state": state})
        watched = _state(names.WATCHDOG)
        for key, name, doc in (
            ("lag", "beamclaw_loop_lag_last_seconds", "How late the loop is, at last."),
            ("worst", "beamclaw_loop_lag_worst_seconds", "How late it was, at worst."),
        ):
            if isinstance(value := watched.get(key), float):
                put("gauge", name, doc, value)

    def _tenant(self, put: Callable[..., None], tenant: str) -> None:
        label = {"tenant": tenant}
        ledger = _state(names.of_tenant(tenant, "ledger"))
        for key, (kind, name, doc) in _LEDGER.items():
            if key in ledger:
                put(kind, name, doc, cast("float", ledger[key]), label)
        if ledger:
            failing = float(bool(ledger.get("trouble")))
            name = "beamclaw_ledger_failing"
            put("gauge", name, "Whether its file cannot be written.", failing, label)
        door = _state(names.of_tenant(tenant, "sessions"))
        for key, (name, doc) in _SESSIONS.items():
            if key in door:
                put("gauge", name, doc, cast("float", door[key]), label)

    def _provider(self, put: Callable[..., None], name: str) -> None:
        found: Mapping[str, Any] = _state(f"providers/{name}")
        if not found:
            return
        label = {"provider": name}
        for key, doc in (
            ("in_use", "Calls in progress."),
            ("waiting", "Calls that wait for a permit."),
            ("limit", "Calls at once, at most."),
        ):
            put("gauge", f"beamclaw_provider_{key}", doc, found[key], label)
        left_alone = float(found["breaker"] != "closed")
        doc = "Whether it fails and is left alone."
        put("gauge", "beamclaw_provider_left_alone", doc, left_alone, label)
        for state in get_args(BreakerState):
            put(
                "gauge",
                "beamclaw_provider_breaker",
                "Its breaker: 1 for the state that it is in.",
                float(found["breaker"] == state),
                {**label, "state": state},
            )
        for key, what, doc in (
            ("opens_in", "reopen", "Seconds until it is asked again, left alone."),
            ("blocked_for", "pause", "Seconds that it has asked everybody to wait."),
        ):
            put("gauge", f"beamclaw_provider_{what}_seconds", doc, found[key], label)

    def _gateway(self, put: Callable[..., None]) -> None:
        found = _state(GATEWAY)
        status, clients = found.get("status"), found.get("clients")
        if isinstance(status, GatewayStatus):
            for kind, key, doc in _GATEWAY:
                name = _named("beamclaw_gateway_", kind, key)
                put(kind, name, doc, getattr(status, key))
            intake = float(status.intake)
            put(
                "gauge", "beamclaw_gateway_intake", "Whether it takes messages.", intake
            )
        if isinstance(clients, Mapping):
            figures = cast("Mapping[str, float]", clients)
            for kind, key, doc in _CLIENTS:
                put(kind, _named("beamclaw_gateway_ws_", kind, key), doc, figures[key])


def _named(prefix: str, kind: str, key: str) -> str:
    return f"{prefix}{key}{'_total' if kind == 'counter' else ''}"


def _state(name: str) -> Mapping[str, object]:
    try:
        return supervision.state(name)
    except supervision.NoProcess:
        return {}


def _resident() -> int | None:
    try:
        pages = int(_MEMORY.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None  # not Linux
    return pages * os.sysconf("SC_PAGE_SIZE")


def _descriptors() -> int | None:
    try:
        return len(os.listdir(_FILES))  # noqa: PTH208 -- counts, and makes no paths
    except OSError:
        return None
