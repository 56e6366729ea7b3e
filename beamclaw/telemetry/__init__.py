"""What the node tells of itself: its log, figures, and who holds it up.

Everything in the node tells by ``supervision.emit``, a function call that neither waits
nor fails. This subtree holds the sinks that listen; without them the few lines that
matter go to the standard library's logger.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import beamclaw as about
import supervision
from beamclaw.config.redactor import Redactor, redactor
from beamclaw.config.schema import Config
from beamclaw.contracts import logs, names
from beamclaw.contracts.audit import NAME as AUDIT
from beamclaw.contracts.metrics import NAME as METRICS
from beamclaw.contracts.names import WATCHDOG
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.tracing import Peer, Tracing
from beamclaw.telemetry.audit import AuditServer, Book
from beamclaw.telemetry.events import READY
from beamclaw.telemetry.metrics import MetricsServer
from beamclaw.telemetry.server import LogServer
from beamclaw.telemetry.sink import LogSettings
from beamclaw.telemetry.statistics.server import StatisticsServer

# A sink is tried again for ever: silence is no reason to take the node down.
COOL_DOWN = supervision.CoolDown(first=1.0, factor=2.0, most=60.0, jitter=0.1)


def supervisor(
    config: Config,
    outside: Outside,
    hides: Redactor | None = None,
    peers: Callable[[Config], Mapping[str, Peer]] = lambda _: {},
) -> supervision.Supervisor:
    """The subtree ``telemetry``: one child per sink, and a watchdog if threads are real.

    *hides* keeps secrets out of what is written; by default those of *config*. *peers*
    says whom a provider's name stands for.
    """
    settings = LogSettings(
        level=config.logging.level,
        format=config.logging.format,
        redactor=hides or redactor(config),
        wall=outside.wall,
        threads=outside.threads,
        keep=config.logging.keep_bytes,
        tracing=tracing_of(config),
    )
    children = [
        supervision.ChildSpec("log", partial(LogServer, settings), name=logs.NAME)
    ]
    book = Book(config.data, settings.redactor, config.telemetry.audit.keep_months)
    auditor = partial(AuditServer, book, outside.wall, threads=outside.threads)
    children.append(supervision.ChildSpec("audit", auditor, name=AUDIT))
    figures = config.telemetry.metrics
    if figures.enabled:
        counter = partial(
            MetricsServer,
            lambda: about.__version__,
            tuple(_permit_servers(config)),
            outside.wall(),
            figures.max_series,
            settings.redactor,
        )
        children.append(supervision.ChildSpec("metrics", counter, name=METRICS))
    if config.telemetry.otlp.endpoint is not None:
        # Nobody else pays for what it imports.
        from beamclaw.telemetry.traces import server as traces  # noqa: PLC0415

        wanted = traces.settings_of(
            config, settings.redactor, about.__version__, peers(config)
        )
        tracer = partial(traces.TraceServer, wanted, outside)
        children.append(supervision.ChildSpec("traces", tracer, name=traces.NAME))
    if outside.threads:
        dog = supervision.ChildSpec("watchdog", supervision.Watchdog, name=WATCHDOG)
        children.append(dog)
    return supervision.Supervisor(children, strategy="one_for_one", cool_down=COOL_DOWN)


def tracing_of(config: Config) -> Tracing:
    """Whether the node makes spans, by the configuration, and what that means for others."""
    wanted = config.telemetry.otlp
    return Tracing(None if wanted.endpoint is None else wanted.sample)


def _permit_servers(config: Config) -> Iterator[str]:
    for name, provider in config.providers.items():
        for key in range(provider.key_count):
            yield names.of_key(name, key)


__all__ = ["READY", "StatisticsServer", "supervisor", "tracing_of"]
