"""What a person can do to a process of a node that runs. Every action is told of.

Whoever has the socket owns the node, so all of it is allowed to a person; a command of an
agent steers nothing. What would end the connection that it is asked on is refused: nobody
could be told how it went.
"""
# ruff: noqa: ARG001 -- all methods have one signature

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, Final

import trio

import supervision
from beamclaw.shell.deeds import deed, name_told, told_of
from beamclaw.shell.finding import name_of, wanted
from beamclaw.shell.looking import of_person, shower
from beamclaw.shell.orders import message_of, replaced, request_of
from beamclaw.shell.request import Failed, Method, Node, Params, Send, number, text
from supervision import sys

Do = Callable[[Node, supervision.Pid, Params], Awaitable[object]]

# Seconds: for an order to a process that works; for the end of one that was killed; for
# its successor to be there.
PATIENCE: Final = 5.0
_END: Final = 5.0
_SUCCESSOR: Final = 5.0
_AGAIN: Final = 0.02
_MOST_FLOOD: Final = 100_000
_LONGEST: Final = 3_600.0
_BEHAVIOURS: Final = ("server", "state_machine", "supervisor")


class DrillError(Exception):
    """Somebody wanted this process to crash: a drill."""


class _Noise:
    """A message that nobody wants, of a drill."""

    def __repr__(self) -> str:
        return "<noise of a drill>"


def steers(
    action: str, do: Do, *, what: Callable[[Params], str] = lambda _: ""
) -> Method:
    """The method for *do*: who may, to whom, and what is told of it."""

    async def method(node: Node, params: Params, send: Send) -> object:
        with deed(node, action, params, what(params)):
            of_person(node, "steers nothing")
            pid = await wanted(node, params)
            with _told(pid):
                result = await do(node, pid, params)
            return {"pid": str(pid), **_mapping(result)}

    return method


def _mapping(result: object) -> Mapping[str, object]:
    return result if isinstance(result, dict) else {}  # pyright: ignore[reportUnknownVariableType] -- of our own methods


class _told:  # noqa: N801 -- reads as a word
    """What goes wrong with a process becomes words about it."""

    def __init__(self, pid: supervision.Pid) -> None:
        self._pid = pid

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        match error:
            case supervision.CallTimeout():
                raise Failed(
                    "refused",
                    f"{self._who()} does not take the order: {self._why()}; see "
                    "`waiting`, and `restart` or `kill` it",
                ) from None
            case supervision.NoProcess() | supervision.ServerExited():
                raise Failed("noprocess", f"it has ended: {error}") from None
            case supervision.SupervisionError():
                raise Failed("refused", str(error)) from None
            case _:
                pass

    def _who(self) -> str:
        found = supervision.info(self._pid, depth=0)
        return str(self._pid) if found is None else name_of(found)

    def _why(self) -> str:
        found = supervision.info(self._pid, depth=0)
        if found is None:
            return "it has ended"
        return (
            "it works on something else" if found.status == "running" else found.status
        )


# --- what may be done to whom


def _above(pid: supervision.Pid) -> list[supervision.Pid]:
    """The process and all that it is below of."""
    found: list[supervision.Pid] = []
    at: supervision.Pid | None = pid
    while at is not None:
        found.append(at)
        info = supervision.info(at, depth=0)
        at = None if info is None else info.parent
    return found


def _spare(node: Node, pid: supervision.Pid) -> None:
    """Refuse what would end the connection of whoever asks.

    Raises:
        Failed: It would.
    """
    own = () if node.connection is None else _above(node.connection)
    if pid in (supervision.self_pid(), *own, supervision.tree(depth=0).pid):
        raise Failed(
            "refused",
            "it carries the connection on which you ask; to stop the whole node, end "
            "`beamclaw run`",
        )


def _info(pid: supervision.Pid) -> supervision.ProcessInfo:
    found = supervision.info(pid, depth=0)
    if found is None:
        raise Failed("noprocess", "it has ended in this moment")
    return found


# --- the actions


async def suspend(node: Node, pid: supervision.Pid, params: Params) -> object:
    """Have ``process`` handle nothing until it is resumed."""
    if _info(pid).kind == "supervisor":
        raise Failed(
            "refused",
            "a supervisor is not suspended: it could restart nothing; suspend what is "
            "below it",
        )
    await sys.suspend(pid, timeout=PATIENCE)
    return None


async def resume(node: Node, pid: supervision.Pid, params: Params) -> object:
    """Take that back."""
    await sys.resume(pid, timeout=PATIENCE)
    return None


async def replace(node: Node, pid: supervision.Pid, params: Params) -> object:
    """Give ``field`` of the state of ``process`` another ``value``.

    With ``expression`` the value of that, which sees ``old`` and ``state``.
    """
    show = shower(node)
    change = replaced(node, params)
    try:
        await sys.replace_state(pid, change.apply, timeout=PATIENCE)
    except (Failed, supervision.SupervisionError):
        raise
    except Exception as error:
        # Of the state itself: an attribute that may not be set, an expression that fails.
        raise Failed("raised", f"nothing was changed: {show.words(error)}") from error
    return {"before": show(change.before), "after": show(change.after)}


async def kill(node: Node, pid: supervision.Pid, params: Params) -> object:
    """End ``process`` at once, without its ``terminate``; returns when it is over."""
    _spare(node, pid)
    info = _info(pid)
    supervision.monitor(pid)
    supervision.exit(pid, supervision.KILL)
    await _wait_end(node, _END)
    return {"restart": info.restart, **await _successor(info, 1.0)}


async def restart(node: Node, pid: supervision.Pid, params: Params) -> object:
    """End ``process`` in order, and after ``shell.grace_seconds`` kill it.

    Its supervisor starts it again, by its strategy; the answer says what has come.
    """
    _spare(node, pid)
    info = _info(pid)
    supervision.monitor(pid)
    reason = supervision.Exited("restarted by a person")
    grace = node.config.shell.grace_seconds
    killed = False
    with trio.move_on_after(grace) as limit:
        if info.kind in _BEHAVIOURS:
            # Who does not take it is killed below.
            with suppress(supervision.CallFailed):
                await sys.terminate(pid, reason, timeout=grace)
        else:
            supervision.exit(pid, reason)
        await supervision.receive(supervision.Down)
    if limit.cancelled_caught:
        killed = True
        supervision.exit(pid, supervision.KILL)
        await _wait_end(node, _END)
    return {
        "restart": info.restart,
        "killed": killed,
        **await _successor(info, _SUCCESSOR),
    }


async def _wait_end(node: Node, seconds: float) -> None:
    try:
        await supervision.receive(supervision.Down, timeout=seconds)
    except supervision.ReceiveTimeout:
        raise Failed(
            "refused",
            "it was killed and has not ended: a thread, or code that shields itself, "
            "holds it; the log says which",
        ) from None


async def _successor(
    info: supervision.ProcessInfo, seconds: float
) -> Mapping[str, object]:
    """What stands in its place, if something comes in time."""
    wait = seconds if info.restart in ("permanent", "transient") else 1.0
    with trio.move_on_after(wait):
        while (found := _now(info)) is None:  # noqa: ASYNC110 -- it tells nobody
            await trio.sleep(_AGAIN)
        return {"successor": str(found)}
    return {"successor": None}


def _now(info: supervision.ProcessInfo) -> supervision.Pid | None:
    if info.name is not None:
        found = supervision.whereis(info.name)
        return None if found is info.pid else found
    above = None if info.parent is None else supervision.info(info.parent, depth=1)
    for child in () if above is None else above.children:
        if child.id == info.id and child.pid not in (None, info.pid):
            return child.pid
    return None


async def send(node: Node, pid: supervision.Pid, params: Params) -> object:
    """Put ``message`` into the mailbox of ``process``; with ``cast`` as a cast."""
    what = message_of(params)
    if params.get("cast") is True:
        supervision.cast(pid, what)
    else:
        supervision.send(pid, what)
    return None


async def call(node: Node, pid: supervision.Pid, params: Params) -> object:
    """Call ``process`` with the request that ``message`` names; its reply.

    Waits for ``seconds``, 5 if nothing is said.
    """
    seconds = number(params, "seconds", PATIENCE, least=0.001, most=_LONGEST)
    request = request_of(params)
    show = shower(node)
    try:
        reply = await supervision.call(pid, request, timeout=seconds)
    except supervision.SupervisionError:
        raise
    except Exception as error:
        raise Failed("raised", f"it answers: {show.words(error)}") from error
    return {"reply": show(reply)}


# --- drills


async def fault(node: Node, pid: supervision.Pid, params: Params) -> object:
    """Do ``process`` harm, for a drill: ``kind`` is one of those below.

    ``crash``: it ends as if its code had failed. ``hang``: it takes nothing for
    ``seconds``, or until the connection ends. ``flood``: it gets ``count`` messages that
    nobody wants. ``block``: it holds up the whole node for ``seconds``.
    """
    kind = text(params, "kind")
    do = _FAULTS.get(kind)
    if do is None:
        raise Failed(
            "params", f"kind is one of {', '.join(_FAULTS)}, not {kind[:50]!r}"
        )
    return await do(node, pid, params)


async def _crash(node: Node, pid: supervision.Pid, params: Params) -> object:
    _spare(node, pid)
    info = _info(pid)
    supervision.monitor(pid)
    reason = supervision.Crash(DrillError("a drill"))
    if info.kind in _BEHAVIOURS:
        await sys.terminate(pid, reason, timeout=PATIENCE)
    else:
        supervision.exit(pid, reason)
    await _wait_end(node, _END)
    return await _successor(info, _SUCCESSOR)


async def _hang(node: Node, pid: supervision.Pid, params: Params) -> object:
    seconds = number(params, "seconds", 10.0, least=0, most=_LONGEST)
    await suspend(node, pid, params)
    try:
        await trio.sleep(seconds)
    finally:
        # Its connection may have ended: nobody else would take this back.
        until = trio.current_time() + PATIENCE
        with (
            trio.CancelScope(shield=True, deadline=until),
            suppress(supervision.SupervisionError),
        ):
            await sys.resume(pid, timeout=None)
    return {"seconds": seconds}


async def _flood(node: Node, pid: supervision.Pid, params: Params) -> object:
    count = int(number(params, "count", 1_000, least=1, most=_MOST_FLOOD))
    noise = _Noise()
    for at in range(count):
        supervision.send(pid, noise)
        if at % _AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
    return {"count": count}


_AT_ONCE: Final = 500


async def _block(node: Node, pid: supervision.Pid, params: Params) -> object:
    most = node.config.shell.block_seconds
    seconds = number(params, "seconds", min(0.5, most), least=0, most=most)

    def hold(state: Any) -> Any:
        until = monotonic() + seconds
        while monotonic() < until:
            pass
        return state

    await sys.replace_state(pid, hold, timeout=PATIENCE + seconds)
    return {"seconds": seconds}


_FAULTS: Final[Mapping[str, Do]] = {
    "crash": _crash,
    "hang": _hang,
    "flood": _flood,
    "block": _block,
}


def _message_name(params: Params) -> str:
    given: Any = params.get("message")
    if isinstance(given, dict):
        return name_told(given.get("type", ""))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] -- JSON
    return type(given).__name__


def _field(params: Params) -> str:
    """The field, and the expression that makes its value; a value is not told."""
    field, expression = name_told(params.get("field", "")), params.get("expression")
    return field if expression is None else f"{field} = {told_of(expression)}"


def _fault_kind(params: Params) -> str:
    return name_told(params.get("kind", ""))


STEERING: Final[Mapping[str, Method]] = {
    "steer.suspend": steers("suspend", suspend),
    "steer.resume": steers("resume", resume),
    "steer.replace": steers("replace", replace, what=_field),
    "steer.restart": steers("restart", restart),
    "steer.kill": steers("kill", kill),
    "steer.send": steers("send", send, what=_message_name),
    "steer.call": steers("call", call, what=_message_name),
    "steer.fault": steers("fault", fault, what=_fault_kind),
}
