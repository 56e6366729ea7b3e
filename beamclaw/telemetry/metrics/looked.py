"""The table of what is looked at: names, kinds, words and labels, without figures."""

from collections.abc import Iterator

from beamclaw.telemetry.metrics.families import FLAG, Family


def looked(most: int = 200) -> Iterator[Family]:
    """Every family that a look can fill, empty; *most* series each."""

    def counter(name: str, doc: str, *labels: str) -> Family:
        return Family(name, "counter", doc, labels, most=most)

    def gauge(name: str, doc: str, *labels: str) -> Family:
        return Family(name, "gauge", doc, labels, most=most)

    def flag(name: str, doc: str, *labels: str) -> Family:
        return Family(name, "gauge", doc, labels, most=most, unit=FLAG)

    yield counter("process_cpu_seconds_total", "CPU time that the node has used.")
    yield gauge("process_start_time_seconds", "When the node began, since the epoch.")
    yield gauge("process_resident_memory_bytes", "Memory that the node occupies.")
    yield gauge("process_open_fds", "File descriptors that the node has open.")
    yield gauge("process_max_fds", "File descriptors that it may have open at most.")
    yield counter("beamclaw_gc_collections_total", "Runs of Python's collector.")

    yield gauge("beamclaw_processes", "Processes that are alive.")
    yield counter("beamclaw_spawned_total", "Processes that were ever started.")
    yield counter("beamclaw_restarts_total", "Restarts by supervisors.")
    yield gauge("beamclaw_names", "Names under which processes are registered.")
    yield gauge("beamclaw_mailbox_messages", "Messages that wait in all mailboxes.")
    yield gauge(
        "beamclaw_tasks", "Trio's tasks: living, and of those runnable.", "state"
    )
    yield gauge(
        "beamclaw_loop_lag_last_seconds",
        "How late the event loop was when it was measured last.",
    )
    yield gauge(
        "beamclaw_loop_lag_worst_seconds", "How late the event loop was at worst."
    )

    yield counter("beamclaw_ledger_commits_total", "Commits to the ledger.", "tenant")
    yield counter(
        "beamclaw_ledger_transactions_total",
        "Transactions of the ledger; each holds what was committed at once.",
        "tenant",
    )
    yield gauge(
        "beamclaw_ledger_waiting", "Commits that wait for their transaction.", "tenant"
    )
    yield gauge(
        "beamclaw_ledger_reads_waiting", "Reads of the ledger that wait.", "tenant"
    )
    yield flag(
        "beamclaw_ledger_failing", "Whether its file cannot be written.", "tenant"
    )
    yield gauge("beamclaw_sessions_awake", "Sessions that have a process.", "tenant")
    yield gauge(
        "beamclaw_sessions_reviving",
        "Sessions that are brought back after a death.",
        "tenant",
    )
    yield gauge(
        "beamclaw_sessions_parked",
        "Sessions that have work and no place for a process.",
        "tenant",
    )

    yield gauge("beamclaw_provider_in_use", "Calls in progress.", "provider")
    yield gauge(
        "beamclaw_provider_waiting", "Calls that wait for a permit.", "provider"
    )
    yield gauge(
        "beamclaw_provider_limit",
        "Calls at once that there are permits for.",
        "provider",
    )
    yield flag(
        "beamclaw_provider_left_alone",
        "Whether it fails and is left alone.",
        "provider",
    )
    yield flag(
        "beamclaw_provider_breaker",
        "Its breaker: 1 for the state that it is in (closed, open, half-open).",
        "provider",
        "state",
    )
    yield gauge(
        "beamclaw_provider_reopen_seconds",
        "Until it is asked again, if it is left alone.",
        "provider",
    )
    yield gauge(
        "beamclaw_provider_pause_seconds",
        "How long all its calls wait still, because it has asked for that.",
        "provider",
    )

    yield gauge("beamclaw_gateway_connections", "Connections to the gateway.")
    yield gauge("beamclaw_gateway_requests", "Requests in progress.")
    yield gauge("beamclaw_gateway_streams", "Streams in progress.")
    yield counter(
        "beamclaw_gateway_accepted_total", "Connections since the gateway started."
    )
    yield counter(
        "beamclaw_gateway_shed_total", "Connections closed to make room for others."
    )
    yield flag("beamclaw_gateway_intake", "Whether the gateway takes messages.")
    yield gauge("beamclaw_gateway_ws_clients", "Clients of the WebSocket protocol.")
    yield counter("beamclaw_gateway_ws_greeted_total", "Clients that were let in.")
    yield counter(
        "beamclaw_gateway_ws_slow_total",
        "Clients that were cut off, since they read too slowly.",
    )
