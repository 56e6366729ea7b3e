"""``beamclaw run``: the node, in the foreground."""

import argparse
import ctypes
import gc
import os
import resource
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import supervision
from beamclaw.cli.config import say
from beamclaw.cli.output import (
    CommandError,
    counted,
    is_terminal,
    result,
    result_json,
    tell,
)
from beamclaw.cli.typed import command
from beamclaw.config.installed import FAILED
from beamclaw.config.last_good import load_kept
from beamclaw.config.loader import Loaded, load
from beamclaw.config.problems import ConfigError
from beamclaw.config.schema import Config
from beamclaw.config.server import NOT_APPLIED, Origin
from beamclaw.config.token import FILE_NAME, with_token
from beamclaw.contracts import gateway, names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.gateway import CannotListen
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.sandbox import LookAtMachine
from beamclaw.contracts.service import NAME as SERVICE
from beamclaw.contracts.service import NodeIsUp, NodeStops
from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.troubles import Troubles
from beamclaw.storage import private_folder
from beamclaw.telemetry import READY
from beamclaw.toolbox import ToolsOf
from beamclaw.tree import REAL, drain, load_plugins, tree

# Seconds for the orderly stop of the tree, after the turns had theirs.
GRACE: Final = 10.0
# New objects after which the collector looks at those that are new, where Python has 700.
# With these it took an eighth of the time in which a thousand turns are resumed, for the
# hundred objects that a turn leaves to it.
_YOUNG: Final = 10_000
# Of malloc.h.
_M_ARENA_MAX: Final = -8


class Node(supervision.Application):
    """What stands around the tree: the ready line, the drain and its words."""

    def __init__(
        self,
        config: Config,
        *,
        as_json: bool,
        hints: tuple[str, ...] = (),
        tools_of: ToolsOf | None = None,
        origin: Origin | None = None,
    ) -> None:
        self._config = config
        self._service = _service(os.environ)
        self._origin = origin
        self._tools_of = tools_of
        self._troubles = Troubles()
        self._loading = Loading(REAL.worker())
        self._plugins = load_plugins(config)
        self._as_json = as_json
        self._hints = hints
        # While it starts, failures are told by who started it, once and in words:
        # this keeps the sink of last resort quiet.
        self._detach = supervision.telemetry.attach(lambda _: None)

    def root(self) -> supervision.Supervisor:
        """The whole tree."""
        return tree(
            self._config,
            tools_of=self._tools_of,
            troubles=self._troubles,
            plugins=self._plugins,
            loading=self._loading,
            origin=self._origin,
            service=self._service,
        )

    async def ready(self) -> None:
        """Say where it listens: programs wait for this line.

        Raises:
            DataFolderError: A file cannot be used. While the node runs it would be
                tried again for ever; whoever starts one is there to hear of it.
        """
        refused = self._troubles.refused()
        if refused is not None:
            raise refused
        address = gateway.address()
        url = "" if address is None else address.url
        if self._as_json:
            result_json({"event": "ready", "address": url})
        else:
            result(f"beamclaw ready on {url}")
        for hint in self._hints:
            tell(hint)
        self._detach()
        supervision.emit(READY, {}, {"address": url})
        if self._service is not None:
            supervision.cast(SERVICE, NodeIsUp(url))
        if self._tools_of is None:
            # What cannot be isolated here is said now, not with the first command.
            door = names.of_tenant(names.DEFAULT_TENANT, "sandbox")
            supervision.cast(door, LookAtMachine())
        if self._origin is not None and self._origin.trouble:
            supervision.emit(NOT_APPLIED, {}, {"why": self._origin.trouble})
        for fault in self._plugins.faults:
            supervision.emit(
                FAILED,
                {},
                {"package": fault.package, "name": fault.name, "why": fault.words},
            )
        # It listens: now there is time for what the first turn needs.
        await self._loading.wait()
        # What is there now stays. The collector need not look at it again each time that
        # a long conversation is read: measured, the loop stood still for 40 ms.
        gc.freeze()

    async def drain(self, signum: int) -> None:
        """Let the turns in progress end, and say how many they are."""
        tell("stopping: no new turns; a second signal ends at once")
        if self._service is not None:
            supervision.cast(SERVICE, NodeStops())
        if not await drain(self._config, _count):
            tell("stopping: time is over; open turns go on at the next start")


def _count(turns: int) -> None:
    if turns:
        tell(f"stopping: {counted(turns, 'open turn')}")


def _service(
    variables: Mapping[str, str],
) -> Callable[[Bus], supervision.ChildSpec] | None:
    """What tells the service manager that has started us how the node stands."""
    if not variables.get("NOTIFY_SOCKET"):
        return None
    # Only then: most nodes are started without one, and all want to start fast.
    from beamclaw.service.notifying import Notifier, manager_of  # noqa: PLC0415
    from beamclaw.service.server import child  # noqa: PLC0415

    manager = manager_of(variables, os.getpid())
    return None if manager is None else child(Notifier(manager))


def run(options: argparse.Namespace, tools_of: ToolsOf | None = None) -> int:
    """Run the node until a signal; the exit code. *tools_of*: see `tree`."""
    _leave_no_core()
    _keep_one_heap()
    gc.set_threshold(_YOUNG, 10, 10)
    loaded, trouble = _load(options)
    config = _with_token(loaded)
    origin = Origin(
        config=loaded.config,
        variables=dict(os.environ),
        options=_given(options),
        secrets=loaded.secrets,
        text=None if trouble else loaded.text,
        included=loaded.included,
        trouble=trouble,
        warnings=tuple(map(str, loaded.warnings)),
    )
    hints = tuple(_hints(loaded, config)) if is_terminal(sys.stderr) else ()
    node = Node(
        config, as_json=options.json, hints=hints, tools_of=tools_of, origin=origin
    )
    try:
        code = supervision.run(node, grace=GRACE)
    except supervision.StartFailed as error:
        raise _in_words(error) from None
    except DataFolderError as error:
        raise CommandError(str(error)) from None
    if code == 1:
        tell("beamclaw: a part of the node failed too often; the log above says which")
    return code


def _leave_no_core() -> None:
    """A core dump would have all secrets in it. Who wants one raises the limit again."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _keep_one_heap() -> None:
    """Threads share what memory they free, where they would each have a heap (glibc).

    With one each, what is free in one is of no use to the others: a node grew by some
    8 MB in an hour although it held no more. A person's word on it (``MALLOC_ARENA_MAX``)
    goes before.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(_M_ARENA_MAX, 1)


def _given(options: argparse.Namespace) -> dict[str, str]:
    given = {
        "gateway.host": options.host,
        "gateway.port": options.port,
        "logging.format": "json" if options.json else None,
    }
    return {path: text for path, text in given.items() if text is not None}


def _load(options: argparse.Namespace) -> tuple[Loaded, str]:
    """What holds; and why the file does not, if the last good one has its place."""
    where: dict[str, Any] = {
        "file": options.config,
        "data": options.data,
        "options": _given(options),
    }
    trouble = ""
    try:
        loaded = load(os.environ, **where)
    except ConfigError as error:
        say(error.problems, error.warnings)
        loaded = _last_good(where, wanted=options.last_good)
        trouble = "; ".join(map(str, error.problems))
    say((), loaded.warnings)
    return loaded, trouble


def _last_good(where: Mapping[str, Any], *, wanted: bool) -> Loaded:
    refusal = "the configuration cannot be used; nothing was started"
    try:
        found = load_kept(os.environ, **where)
    except ConfigError as error:
        say(error.problems, error.warnings)
        words = f"{refusal}; nor can the last one that could be used"
        raise CommandError(words if wanted else refusal, 2) from None
    if found is None:
        words = f"{refusal}; none is kept that could be used before"
        raise CommandError(words if wanted else refusal, 2)
    loaded, kept = found
    since = f"{datetime.fromtimestamp(kept.at, UTC).astimezone():%Y-%m-%d %H:%M}"
    if not wanted:
        hint = f"with --last-good it starts by what {kept.file} said since {since}"
        raise CommandError(f"{refusal}; {hint}", 2)
    tell(f"warning: starting by what {kept.file} said since {since}; put it right, and")
    tell("warning: the node takes it over while it runs")
    return loaded


def _with_token(loaded: Loaded) -> Config:
    """The configuration with the shared secret in it, made now if there is none."""
    config = loaded.config
    try:
        private_folder(config.data)
        return with_token(config)
    except DataFolderError as error:
        raise CommandError(str(error)) from None
    except ConfigError as error:
        raise CommandError(str(error), 2) from None
    except OSError as error:
        raise CommandError(
            f"the token in {config.data / FILE_NAME} cannot be kept: {error.strerror}"
        ) from None


def _hints(loaded: Loaded, config: Config) -> list[str]:
    main = config.agents["main"].model
    model = main or config.chosen.model
    why = f"agents.main.model in {loaded.file}" if main else config.chosen.why
    return [
        f"  data    {config.data}",
        f"  token   {_token_place(loaded, config)}",
        f"  model   {model} ({why})",
        f"  next    {command('chat hello', config.data)}",
        f"          {command('status', config.data)}",
        f"          {command('tree', config.data)}",
    ]


def _token_place(loaded: Loaded, config: Config) -> str:
    mode = config.gateway.auth.mode
    if mode != "token":
        return f"none is asked for (gateway.auth.mode: {mode})"
    kept = f"in {config.data / FILE_NAME}"
    return loaded.origins.get("gateway.auth.token", kept)


def _in_words(error: supervision.StartFailed) -> CommandError:
    cause = error.reason.error if isinstance(error.reason, supervision.Crash) else None
    while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] -- any
        cause = cause.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- any
    if isinstance(cause, DataFolderError | CannotListen):
        return CommandError(str(cause))
    traceback.print_exception(error)  # no mistake of a person's: it is wanted
    return CommandError(f"the node did not start: {error}")
