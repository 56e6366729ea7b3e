"""What all methods of a node's socket share: the node, errors in words, parameters."""

import itertools
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

import supervision
from beamclaw import __version__
from beamclaw.config.current import Current
from beamclaw.config.installed import Fault
from beamclaw.config.schema import Config
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.keys import BadKey
from beamclaw.contracts.ledger_errors import (
    IdempotencyConflict,
    LedgerError,
    Overloaded,
    SessionExists,
)
from beamclaw.contracts.lifecycle import NoRest, NoSuchSession, TurnInProgress
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.looking import Failed, Send
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.session_deeds import Person
from beamclaw.contracts.session_meta import BadSetting
from beamclaw.contracts.shell import UNAVAILABLE
from beamclaw.contracts.toolbox import Caller, Toolbox
from beamclaw.shell.growth import Marks
from beamclaw.shell.lineage import Peer
from beamclaw.values import frozen

Params = Mapping[str, Any]
__all__ = [
    "Failed",
    "Method",
    "Node",
    "Params",
    "Send",
    "flag",
    "in_words",
    "no_toolbox",
    "number",
    "text",
    "whole",
]

Method = Callable[["Node", Params, Send], Awaitable[object]]


def no_toolbox(caller: Caller) -> Toolbox:
    """That of a node without tools."""
    del caller
    return Toolbox({})


@frozen(kw_only=True)
class Node:
    """What the methods stand on.

    Attributes:
        current: The configuration in force.
        toolbox: The tools of a turn, when *loading* is over.
        loading: Of what they are made of.
        faults: Of packages of others.
        inner: Who asks is no person, but was begun by this node; see
            :mod:`beamclaw.shell.lineage`.
        peer: Who asks, where the system tells.
        connection: The process of their connection.
        by: Who asks, for the audit: at the terminal, or by the gateway's name for them.
        over_gateway: Who asks came in there, and not by the node's own socket.
        marks: What growth is counted from.
    """

    current: Current
    bus: Bus
    outside: Outside
    toolbox: Callable[[Caller], Toolbox] = no_toolbox
    loading: Loading = attrs.field(factory=Loading)
    faults: Sequence[Fault] = ()
    version: str = attrs.field(factory=lambda: str(__version__))
    inner: bool = False
    peer: Peer | None = None
    connection: supervision.Pid | None = None
    by: str = "terminal"
    over_gateway: bool = False
    marks: Marks = attrs.field(factory=Marks)
    _connections: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))

    @property
    def config(self) -> Config:
        """The configuration that holds now."""
        return self.current.config

    @property
    def person(self) -> Person:
        """Who asks, where it is told of; a command of an agent is nobody's terminal."""
        by = "a command of an agent" if self.inner else self.by
        if self.peer is None:
            return Person(by)
        return Person(by, self.peer.uid, self.peer.pid)

    def next_connection(self) -> int:
        """A number for the next connection."""
        return next(self._connections)


def text(params: Params, name: str, default: str | None = None) -> str:
    """The parameter *name*, or *default* where there is none.

    Raises:
        Failed: It is no text, or missing without a default.
    """
    value = params.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise Failed("params", f"{name} has to be a text")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise Failed("params", f"{name} is not valid Unicode")
    return value


def number(
    params: Params, name: str, default: float, *, least: float, most: float
) -> float:
    """The parameter *name*, from *least* to *most*.

    Raises:
        Failed: It is no number, or lies outside.
    """
    value = params.get(name, default)
    if type(value) not in (int, float) or not least <= value <= most:
        raise Failed("params", f"{name} has to be a number from {least:g} to {most:g}")
    return value


def whole(params: Params, name: str, default: int | None, *, most: int) -> int | None:
    """The same for whole numbers from 0; *default* may be none at all."""
    if params.get(name) is None:
        return default
    value = number(params, name, 0, least=0, most=most)
    if type(value) is not int:
        raise Failed("params", f"{name} has to be a whole number")
    return value


def flag(params: Params, name: str) -> bool:
    """The parameter *name*, which is false where it is missing.

    Raises:
        Failed: It is neither true nor false.
    """
    value = params.get(name, False)
    if not isinstance(value, bool):
        raise Failed("params", f"{name} has to be true or false")
    return value


@contextmanager
def in_words() -> Generator[None]:
    """What goes wrong inside becomes an error that a person can read."""
    try:
        yield
    except supervision.CallFailed as error:
        raise Failed(UNAVAILABLE, f"a part of the node is down: {error}") from None
    except Overloaded as error:
        raise Failed("overloaded", str(error)) from None
    except IdempotencyConflict as error:
        raise Failed("conflict", str(error)) from None
    except (NoSuchSession, TurnInProgress, NoRest, SessionExists) as error:
        raise Failed("refused", str(error)) from None
    except (BadSetting, BadKey) as error:
        raise Failed("params", str(error)) from None
    except LedgerError as error:
        raise Failed(UNAVAILABLE, str(error)) from None
