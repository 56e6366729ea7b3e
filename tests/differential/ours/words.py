"""Messages, reasons and errors, as terms and as what `supervision` has for them."""

from typing import Any

import attrs

import supervision


class OnPurpose(Exception):
    """A crash that a scenario wants."""


class Return(Exception):
    """Leaves the body of a plain process."""


@attrs.frozen
class Ctl:
    """What a plain process has to do."""

    commands: list[Any]


@attrs.frozen
class Tag:
    """An ordinary message."""

    number: int


@attrs.frozen
class Do:
    """How a child has to end."""

    command: Any


@attrs.frozen
class Program(supervision.Call[Any]):
    """What a callback has to do and to return."""

    id: int
    effects: Any
    result: Any


@attrs.frozen
class Script(supervision.Call[Any]):
    """What a state machine has to do at each visit of an event."""

    id: int
    visits: Any


@attrs.frozen
class Info:
    """A program that comes as a plain message."""

    program: Any


@attrs.frozen
class Answer:
    """A call that another server shall reply to."""

    sender: supervision.From


def program(term: Any) -> Any:
    return Script(*term) if len(term) == 2 else Program(*term)


def seconds(tenths: Any) -> float | None:
    return None if tenths == "infinity" else tenths / 10


def term_to_reason(term: Any) -> Any:
    match term:
        case ("shutdown", inner):
            return supervision.Shutdown(inner)
        case _:
            return _REASONS.get(term, term)


_REASONS: dict[Any, Any] = {
    "normal": supervision.NORMAL,
    "shutdown": supervision.SHUTDOWN,
    "kill": supervision.KILL,
    "killed": supervision.KILLED,
    "noproc": supervision.NOPROC,
}


def die(term: Any) -> Any:
    """End the calling process by itself."""
    if term == "return":
        raise Return
    if term == "crash":
        raise OnPurpose("boom")
    supervision.exit(term_to_reason(term))


def term_to_stop(term: Any) -> Any:
    """A reason as a callback returns it, where no `kill` is special."""
    reason = term_to_reason(term)
    return reason if isinstance(reason, supervision.ExitReason) else as_exited(reason)


def as_exited(term: Any) -> supervision.Exited:
    return supervision.Exited(term)


def logical(name: str) -> str:
    return name.partition("_")[0]


def real(name: str) -> str:
    return name + "_"


DEFAULT_SHUTDOWN = 5.0


def shutdown_of(grace: Any) -> Any:
    return supervision.BRUTAL_KILL if grace == "brutal_kill" else seconds(grace)


def tenths(grace: Any) -> Any:
    if grace == DEFAULT_SHUTDOWN:
        return "default"
    if grace is None:
        return "infinity"
    return "brutal_kill" if grace is supervision.BRUTAL_KILL else round(grace * 10)
