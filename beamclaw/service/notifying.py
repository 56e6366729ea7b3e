"""The protocol of ``sd_notify``: datagrams of lines to the socket ``NOTIFY_SOCKET``."""

import socket
from collections.abc import Mapping
from typing import Final

import attrs

from beamclaw.values import frozen

# Of one datagram; a status that is longer is cut.
_MOST: Final = 2048
_MICRO: Final = 1_000_000
# Pings in the time within which one has to come: one that is lost does no harm.
PINGS: Final = 3
# Seconds between two looks where no ping is asked for.
_QUIET: Final = 60.0


@frozen(kw_only=True)
class Manager:
    """Where a service manager listens, and what it expects.

    Attributes:
        address: Of its socket; an abstract one begins with a zero.
        within: Seconds within which it wants to be told that we live; None: it does not.
    """

    address: str
    within: float | None = None

    @property
    def every(self) -> float:
        """Seconds between two pings, if all is well."""
        return _QUIET if self.within is None else self.within / PINGS


def manager_of(variables: Mapping[str, str], pid: int) -> Manager | None:
    """The service manager that has started the process *pid*; None: there is none.

    Variables that were meant for another process, as those of a service's child, and an
    address that is none are as good as no service manager.
    """
    given = variables.get("NOTIFY_SOCKET", "")
    if given.startswith("@") and len(given) > 1:
        address = f"\0{given[1:]}"
    elif given.startswith("/") and len(given) > 1:
        address = given
    else:  # also vsock:, for machines inside machines
        return None
    return Manager(address=address, within=_within(variables, pid))


def _within(variables: Mapping[str, str], pid: int) -> float | None:
    if variables.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    given = variables.get("WATCHDOG_USEC", "")
    return int(given) / _MICRO if given.isdecimal() and int(given) > 0 else None


@frozen
class Notifier:
    """Sends to a service manager. What cannot be sent is lost: there is nobody to tell.

    Args:
        manager: Where it listens.
    """

    manager: Manager
    _socket: socket.socket = attrs.field(
        factory=lambda: socket.socket(
            socket.AF_UNIX,
            socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
        )
    )

    def send(self, **fields: str) -> bool:
        """Send *fields*; whether the system took them. Never waits."""
        lines = [f"{name}={_line(value)}" for name, value in fields.items()]
        try:
            self._socket.sendto("\n".join(lines).encode(), self.manager.address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let the socket go; a second time is nothing."""
        self._socket.close()


def _line(value: str) -> str:
    """Without what would begin another field."""
    return " ".join(value.split())[:_MOST]
