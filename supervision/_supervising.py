"""The functions by which one asks a supervisor for something."""

from __future__ import annotations

from ._calls import call
from ._child_spec import ChildSpec, check_is_spec
from ._children import (
    ChildCounts,
    ChildInfo,
    CountChildren,
    DeleteChild,
    GetChildSpec,
    RestartChild,
    WhichChildren,
    count,
)
from ._engine import engine_of
from ._errors import ChildError
from ._pid import Dest, Pid
from ._supervisor import StaticEngine


async def start_child(sup: Dest, spec: ChildSpec) -> Pid | None:
    """Add a child to a running supervisor, and wait until it is initialised.

    Returns:
        Its pid, or ``None`` when its ``init`` chose not to run.

    Raises:
        AlreadyStarted: A child of that id, or a process of that name, is running.
        AlreadyPresent: A child of that id is known but not running.
        StartFailed: Its start failed; the spec is not kept.
        MaxChildren: The dynamic supervisor is full.
        BadChildSpec: The spec does not fit the supervisor.
        NoProcess: There is no such supervisor.
    """
    engine = engine_of(sup)
    check_is_spec(spec)
    return await engine.start_for_caller(spec, sup)


async def terminate_child(sup: Dest, child: str | Pid) -> None:
    """Terminate a child, and wait for its end; it is not restarted.

    The spec stays, so that `restart_child` works, except that temporary children and
    those of dynamic supervisors are forgotten. Terminating what does not run is fine.

    Raises:
        NotFound: The supervisor has no such child.
        NoProcess: There is no such supervisor.
    """
    await engine_of(sup).terminate_for_caller(child, sup)


async def restart_child(sup: Dest, id: str) -> Pid | None:  # noqa: A002
    """Start a child that was terminated, ignored or has ended for good.

    Not counted against ``max_restarts``.

    Raises:
        ChildRunning: It is running.
        ChildRestarting: It is about to be started.
        NotFound: The supervisor has no such child.
        StartFailed: Its start failed; the spec is kept.
    """
    return await call(_static(sup), RestartChild(id), timeout=None)


async def delete_child(sup: Dest, id: str) -> None:  # noqa: A002
    """Forget a child that does not run.

    Raises:
        ChildRunning: It is running.
        ChildRestarting: It is about to be started.
        NotFound: The supervisor has no such child.
    """
    await call(_static(sup), DeleteChild(id), timeout=None)


def _static(sup: Dest) -> Dest:
    if not isinstance(engine_of(sup), StaticEngine):
        raise ChildError(
            f"{sup!r} is a dynamic supervisor: it forgets children that do not run, so "
            "there is nothing to restart or delete; start_child() a new one",
        )
    return sup


async def which_children(sup: Dest) -> list[ChildInfo]:
    """List the children, the newest first."""
    engine = engine_of(sup)
    if isinstance(engine, StaticEngine):
        return await call(sup, WhichChildren(), timeout=None)
    return [child.info() for child in reversed(engine.children())]


async def count_children(sup: Dest) -> ChildCounts:
    """Count the children."""
    engine = engine_of(sup)
    if isinstance(engine, StaticEngine):
        return await call(sup, CountChildren(), timeout=None)
    return count(engine.children())


async def get_child_spec(sup: Dest, child: str | Pid) -> ChildSpec:
    """Return the spec of a child, by its id or pid.

    Raises:
        NotFound: The supervisor has no such child.
    """
    engine = engine_of(sup)
    if isinstance(engine, StaticEngine):
        return await call(sup, GetChildSpec(child), timeout=None)
    return engine.find(child).spec
