"""The process; what it is told and asked goes to whom it concerns.

It alone writes the table :class:`~beamclaw.gateway.auth.access.Access`: after the commit
of the rows in ``node.db``, and in the same step it cuts off whoever may not be here any
more. When it dies nobody is let in who should not be: the table stays as it was written,
and the next one reads the rows again.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import supervision
from beamclaw.config.schema import AuthConfig
from beamclaw.contracts import devices as contract
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.devices import NoSuchDevice, NotAllowed
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.store import DataFolderError
from beamclaw.gateway.auth.access import Access, is_void
from beamclaw.gateway.auth.orders import (
    AskToPair,
    Crowded,
    JoinDevice,
    MintToken,
    Seen,
)
from beamclaw.gateway.devices._book import Book, CutDoomed
from beamclaw.gateway.devices._keys import Keys
from beamclaw.gateway.devices._links import Links
from beamclaw.gateway.devices._paired import Paired
from beamclaw.gateway.devices._seen import Note, Sightings
from beamclaw.gateway.devices._waiting import Waiting
from beamclaw.values import frozen

# A longer wait is waited for in pieces, in seconds.
LONGEST_WAIT: Final = 3600.0
DAY: Final = 86_400.0
# Seconds until a store that was down is asked again.
LOAD_AGAIN: Final = 0.5

_LATE: Final = 0.001

_REFUSALS = (NotAllowed, NoSuchDevice, Crowded, ValueError)


@frozen
class _Tick:
    """Something may have expired."""


@frozen
class _Load:
    """The store may be back."""


class DevicesServer(supervision.Server):
    """See the module.

    Args:
        access: The table.
        auth: How many may wait for a person, and how long; what is forgotten when.
        bus: The way to the store, and to whoever wants to know.
        outside: Clock and ids.
        tell: Tells clients of what is published.
    """

    def __init__(
        self,
        access: Access,
        auth: AuthConfig,
        bus: Bus,
        outside: Outside,
        tell: Callable[[object], object] = lambda _: None,
    ) -> None:
        self._book = Book(access, bus, outside, tell)
        self._waiting = Waiting(self._book, auth.pairing)
        self._paired = Paired(self._book, self._waiting)
        self._keys = Keys(self._book, auth.void_days * DAY)
        self._links = Links(self._book, self._keys)
        self._seen = Sightings(self._book)
        self._timer: supervision.Timer | None = None
        paired, keys, links = self._paired, self._keys, self._links
        self._at_once: Mapping[type, Callable[[Any], object]] = {
            AskToPair: lambda order: self._waiting.ask(order.request),
            contract.ListDevices: lambda order: paired.list(order.actor),
            contract.RejectPairing: paired.reject,
            contract.MakeLink: links.make,
            contract.ListKeys: lambda order: keys.list(order.tenant),
        }
        self._written: Mapping[type, Callable[[Any], Awaitable[object]]] = {
            JoinDevice: paired.join,
            MintToken: paired.mint,
            contract.ApprovePairing: paired.approve,
            contract.RemoveDevice: paired.remove,
            contract.RenameDevice: paired.rename,
            contract.RotateToken: paired.rotate,
            contract.RevokeToken: paired.revoke,
            contract.CreateKey: keys.create,
            contract.RevokeKey: keys.revoke,
            contract.TakeLink: links.take,
        }

    async def init(self) -> supervision.Continue:
        """Nothing is read yet."""
        return supervision.Continue()

    async def handle_continue(self, term: object) -> None:
        """Read the rows; until then nobody who is in them is let in.

        A store that is down is back by itself, sooner or later.
        """
        del term
        try:
            await self._book.load()
        except (supervision.CallFailed, DataFolderError):
            supervision.send_after(LOAD_AGAIN, supervision.self_pid(), _Load())
        self._arm()

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """See :mod:`beamclaw.contracts.devices`; a change is written before it is said."""
        try:
            if (at_once := self._at_once.get(type(request))) is not None:
                return at_once(request)
            if (written := self._written.get(type(request))) is not None:
                return await written(request)
        except _REFUSALS as error:
            supervision.reply_error(sender, error)
            return supervision.NO_REPLY
        except DataFolderError as error:
            supervision.reply_error(sender, error)
            # Whether it was written is not known before it is read.
            await self._book.load()
            return supervision.NO_REPLY
        finally:
            self._arm()
        return await super().handle_call(request, sender)

    async def handle_cast(self, message: object) -> None:
        """Somebody was seen, or wants more than he has got."""
        match message:
            case Seen():
                self._seen.note(message)
            case AskToPair(request):
                if not self._waiting.full:
                    self._waiting.ask(request)
                    self._arm()
            case _:
                await super().handle_cast(message)

    async def handle_info(self, message: object) -> None:
        """Time has passed."""
        match message:
            case _Tick():
                self._waiting.expire()
                self._keys.expire()
                self._arm()
            case _Load():
                await self.handle_continue(None)
            case Note():
                await self._seen.write()
            case CutDoomed():
                self._book.cut_doomed()
            case _:
                await super().handle_info(message)

    def describe(self) -> dict[str, object]:
        """How many there are."""
        access = self._book.access
        return {
            "loaded": access.loaded,
            "devices": len(access.devices),
            "keys": len(access.keys),
            "waiting": len(access.pending),
            "guests": len(access.guests()),
        }

    def _arm(self) -> None:
        """Look again when the next one expires."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        access, now = self._book.access, self._book.now
        until = [request.expires_at for request in access.pending.values()]
        until += [
            key.expires_at
            for key in access.keys.values()
            if key.expires_at is not None and not is_void(key, now)
        ]
        if until:
            wait = min(LONGEST_WAIT, max(0.0, min(until) - now))
            # A timer that is a rounding early would look for nothing, again and again.
            self._timer = supervision.send_after(
                wait + _LATE, supervision.self_pid(), _Tick()
            )
