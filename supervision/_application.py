"""The top: a tree inside any Trio program, and a program that is a tree."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from ._child_spec import AutoShutdown, ChildSpec, CoolDown
from ._errors import StartFailed, SupervisorGaveUp
from ._pid import Pid
from ._process import RUNNING, Home, Process
from ._reasons import KILLED, Crash, ExitReason, Killed
from ._strategies import Strategy
from ._supervisor import Supervisor
from ._telemetry import CRASH, emit
from .abc import Behaviour

# How long a second signal waits for killed processes, in seconds, before it ends the
# whole operating system process.
_LAST_WAIT: Final = 1.0


def _failed_by_itself(root: Process, reason: ExitReason) -> bool:
    gave_up = root.engine is not None and root.engine.gave_up
    return gave_up or isinstance(reason, Crash | Killed)


@asynccontextmanager
async def open_supervisor(
    children: Sequence[ChildSpec] = (),
    *,
    strategy: Strategy = "one_for_one",
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    auto_shutdown: AutoShutdown = "never",
    cool_down: CoolDown | None = None,
    name: str | None = None,
    grace: float = 5.0,
) -> AsyncGenerator[Pid]:
    """Run a supervisor for the length of a block, inside any Trio program.

    The block begins when all children are initialised. However it ends, by its last line,
    an exception, a cancellation from outside, the tree is stopped in reverse order
    before control leaves it.

    Args:
        children: As for `Supervisor`.
        strategy: As for `Supervisor`.
        max_restarts: As for `Supervisor`.
        max_seconds: As for `Supervisor`.
        auto_shutdown: As for `Supervisor`.
        cool_down: As for `Supervisor`.
        name: Registered for the supervisor.
        grace: Seconds for the orderly stop, after which everything is killed.

    Yields:
        The supervisor's pid.

    Raises:
        StartFailed: A child did not get through its start; nothing is left running.
        SupervisorGaveUp: The supervisor gave up, or was killed, while the block ran.
    """
    definition = partial(
        Supervisor,
        children,
        strategy=strategy,
        max_restarts=max_restarts,
        max_seconds=max_seconds,
        auto_shutdown=auto_shutdown,
        cool_down=cool_down,
    )
    definition()  # a contradiction is the caller's, not a failed start
    home = Home()
    try:
        root = await home.start_root(definition, name)
        _check_started(home, root)
        with trio.CancelScope() as body:
            home.on_end = partial(_end_body, home, root, body)
            home.on_end()  # it may have ended while we were on our way
            yield root.pid
    finally:
        home.on_end = None
        ended_before = home.root_reason
        await home.close(grace)
    _raise_end(home, root, ended_before)


def _check_started(home: Home, root: Process) -> None:
    if root.status is not RUNNING:
        if home.failure is not None:
            raise home.failure
        raise StartFailed.flat(root.label, home.root_reason or KILLED)


def _end_body(home: Home, root: Process, body: trio.CancelScope) -> None:
    reason = home.root_reason
    if home.failure is not None or (
        reason is not None and _failed_by_itself(root, reason)
    ):
        body.cancel(reason="the supervisor ended")


def _raise_end(home: Home, root: Process, reason: ExitReason | None) -> None:
    if home.failure is not None:
        raise home.failure
    if reason is not None and _failed_by_itself(root, reason):
        last = None if root.engine is None else root.engine.gave_up_over
        raise SupervisorGaveUp(reason, *(last or ()))


# --- a whole program


class Application:
    """A program that is one tree; derive from it and give it to `run`."""

    def root(self) -> Behaviour:
        """Return the root supervisor; called in its own task."""
        raise NotImplementedError

    async def ready(self) -> None:
        """Do what comes once every static child is initialised."""

    async def drain(self, signum: int) -> None:
        """Finish what is open, after the first signal and before the tree is stopped.

        Args:
            signum: The signal: ``SIGTERM`` or ``SIGINT``.
        """


def run(
    app: Application,
    *,
    grace: float = 10.0,
    clock: trio.abc.Clock | None = None,
) -> int:
    """Run *app* until it ends or is told to; returns the exit code of the program.

    The first ``SIGTERM`` or ``SIGINT`` drains it and stops the tree in reverse order. A
    second one ends at once.

    Args:
        app: The application.
        grace: Seconds for the orderly stop of the tree, after which it is killed; the
            drain is not counted.
        clock: A clock for Trio, for tests.

    Returns:
        0 after an orderly stop, 1 when the tree gave up, 128 plus the number of the
        signal when a second one came.

    Raises:
        StartFailed: The tree did not get through its start.
    """
    return trio.run(_Run(app, grace).main, clock=clock)


class _Run:
    """One run of an application."""

    def __init__(self, app: Application, grace: float) -> None:
        self._app = app
        self._grace = grace
        self._first: int | None = None
        self._second: int | None = None
        self._started = False
        # Cancelled by the first signal, and by the second.
        self._until_first = trio.CancelScope()
        self._until_second = trio.CancelScope()

    async def main(self) -> int:
        home = Home()
        outcome: list[int | BaseException] = []
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, home, signals)
                try:
                    outcome.append(await self._live(home))
                except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001
                    # Raised again below, where no nursery wraps it into a group.
                    outcome.append(error)
                nursery.cancel_scope.cancel()
        (result,) = outcome
        if isinstance(result, BaseException):
            raise result
        return result

    async def _listen(self, home: Home, signals: AsyncIterator[int]) -> None:
        async for signum in signals:
            if self._first is None:
                self._first = signum
                self._until_first.cancel(reason="signal")
                continue
            self._second = signum
            self._until_second.cancel(reason="second signal")
            await self._end_at_once(home, signum)

    async def _end_at_once(self, home: Home, signum: int) -> None:
        for process in tuple(home.processes):
            process.kill()
        await trio.sleep(_LAST_WAIT)
        if home.processes:
            os._exit(128 + signum)

    async def _live(self, home: Home) -> int:
        try:
            await self._run_tree(home)
        finally:
            home.on_end = None
            ended_before = home.root_reason
            await home.close(0.0 if self._second is not None else self._grace)
        if home.failure is not None:
            raise home.failure
        if self._second is not None:
            return 128 + self._second
        root = home.root
        failed = (
            ended_before is not None
            and root is not None
            and _failed_by_itself(root, ended_before)
        )
        return 1 if failed else 0

    async def _run_tree(self, home: Home) -> None:
        """Live until a signal, or until the tree ends by itself; drain in between."""
        with self._until_second, trio.CancelScope() as until_end:
            with self._until_first:
                root = await home.start_root(self._app.root, None)
                _check_started(home, root)
                self._started = True
                home.on_end = partial(until_end.cancel, reason="the tree ended")
                if not root.alive or home.failure is not None:
                    return
                await self._app.ready()
                await trio.sleep_forever()
            if self._first is not None and self._started:
                await self._drain(self._first)

    async def _drain(self, signum: int) -> None:
        try:
            await self._app.drain(signum)
        except Exception as error:  # noqa: BLE001 - the tree is stopped all the same
            emit(
                CRASH,
                {"messages": 0},
                {"pid": None, "name": None, "id": "drain", "reason": Crash(error)},
            )
