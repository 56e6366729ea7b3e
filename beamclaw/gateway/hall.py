"""Which clients are connected, what they follow, and who is told what.

A table like the :class:`~beamclaw.gateway.floor.Floor`: every change is one synchronous
step of whoever it is about, and it outlives the gateway's processes. Nobody waits in
here: an event is encoded once and handed to each client's own bounded outbox.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

import attrs
import trio

import supervision
from beamclaw.gateway import frames
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.frames import StateVersion

# Clients that come for one question leave no trace in the list of who is there.
PASSING: Final = frozenset({"cli", "probe", "backend", "test"})
RESTART: Final = 1012


class Line(Protocol):
    """The way to a client: its process."""

    def deliver(self, event: bytes, *, lossy: bool) -> None:
        """Send an event (:func:`beamclaw.gateway.frames.event`), or give the client up."""
        ...

    async def wait_flushed(self) -> None:
        """Wait until what was to be sent has left, or the client is given up."""
        ...

    def skip(self) -> None:
        """An event may be missing: the client sees that by the next one's number."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Say good-bye after what waits to be sent, at once; nothing more is taken."""
        ...


class Changed(Protocol):
    """Hears of who comes and goes."""

    def __call__(self, *, shown: bool) -> None:
        """Somebody has; *shown*: among those who are there."""
        ...


@attrs.define(eq=False, kw_only=True)
class Client:
    """A client that has been let in.

    Attributes:
        conn_id: Of its connection.
        caps: What it has said it can take.
        facts: What it says of itself, as in ``connect``'s ``client``.
        since_ms: When it came.
        sessions: It wants to hear of changes of all sessions it may see.
        messages: Sessions whose messages it wants to hear of.
        process: Of its connection.
        looks: What it has asked for that goes on until it is enough, by request.
    """

    conn_id: str
    principal: Principal
    line: Line
    caps: frozenset[str] = frozenset()
    facts: Mapping[str, str] = attrs.field(factory=dict[str, str])
    address: str = ""
    since_ms: int = 0
    sessions: bool = False
    messages: set[str] = attrs.field(factory=set[str])
    process: supervision.Pid | None = None
    looks: dict[str, trio.CancelScope] = attrs.field(
        factory=dict[str, trio.CancelScope]
    )

    def may_see(self, tenant: str, scope: str | None) -> bool:
        """Whether an event of *tenant* that needs *scope* is for it."""
        principal = self.principal
        if scope is None:
            return True
        return principal.tenant == tenant and principal.may(scope)

    @property
    def is_present(self) -> bool:
        """Whether it is shown among those who are there."""
        return self.facts.get("mode") not in PASSING

    def presence(self) -> dict[str, Any]:
        """It as an entry of that list."""
        facts, principal = self.facts, self.principal
        given: dict[str, Any] = {
            "host": facts.get("displayName") or facts.get("id"),
            "ip": self.address or None,
            "version": facts.get("version"),
            "platform": facts.get("platform"),
            "deviceFamily": facts.get("deviceFamily"),
            "modelIdentifier": facts.get("modelIdentifier"),
            "timeZone": facts.get("timeZone"),
            "mode": facts.get("mode"),
            "instanceId": facts.get("instanceId"),
            "deviceId": principal.device_id,
            "roles": [principal.role],
            "scopes": sorted(principal.scopes),
            "reason": "connect",
            "ts": self.since_ms,
            "onlineSince": self.since_ms,
        }
        return {name: value for name, value in given.items() if value}


@attrs.define(eq=False)
class Hall:
    """The table.

    Attributes:
        limit: Clients at once.
        most_present: Entries of the list of who is there, at most; the latest ones.
        boot_id: Of this start of the gateway.
        version: How often presence and health have changed.
        health: As the last one who looked has found it.
        on_change: Called when somebody has come or gone; whether they are *shown*.
        closing: No more clients are let in: why.
    """

    limit: int = 10_000
    most_present: int = 200
    boot_id: str = ""
    version: StateVersion = attrs.field(factory=StateVersion)
    health: Mapping[str, Any] = attrs.field(factory=lambda: {"ok": True})
    on_change: Changed | None = None
    closing: str | None = None
    greeted: int = 0
    refused: int = 0
    slow: int = 0
    _clients: dict[str, Client] = attrs.field(factory=dict[str, Client], init=False)
    # Connections that have not said who they are, by address.
    _strangers: Counter[str] = attrs.field(factory=Counter[str], init=False)

    # --- who is here

    def knock(self, address: str) -> None:
        """Somebody at *address* has a WebSocket, and has not said who they are."""
        self._strangers[address] += 1

    def admit_or_leave(self, address: str) -> None:
        """They have said it, or are gone."""
        self._strangers[address] -= 1
        if self._strangers[address] <= 0:
            del self._strangers[address]

    def strangers(self, address: str) -> int:
        """How many connections from *address* have not said who they are."""
        return self._strangers[address]

    def enter(self, client: Client) -> None:
        """A client has been let in."""
        self.greeted += 1
        self._clients[client.conn_id] = client
        self._presence_changed(client)

    def leave(self, client: Client) -> None:
        """A client is gone."""
        if self._clients.pop(client.conn_id, None) is not None:
            self._presence_changed(client)

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._clients.values()))

    @property
    def full(self) -> bool:
        """Whether there is no place for one more."""
        return len(self._clients) >= self.limit

    # --- what they are told

    def tell(
        self,
        name: str,
        payload: object,
        *,
        tenant: str,
        scope: str | None,
        lossy: bool = False,
        only: Callable[[Client], bool] | None = None,
    ) -> int:
        """Send the event *name* to every client that may see it; how many those are.

        Args:
            name: Of the event.
            payload: What JSON can say.
            tenant: Whose matter it is.
            scope: What one needs to see it; None: it is for everybody.
            lossy: A client that reads slowly may miss it.
            only: Further, to whom.
        """
        receivers = [
            client
            for client in self._clients.values()
            if client.may_see(tenant, scope) and (only is None or only(client))
        ]
        if receivers:
            self.send(frames.event(name, payload), receivers, lossy=lossy)
        return len(receivers)

    def send(
        self, event: bytes, receivers: Iterable[Client], *, lossy: bool = False
    ) -> None:
        """Hand an encoded event to *receivers*."""
        for client in receivers:
            client.line.deliver(event, lossy=lossy)

    def miss(self) -> None:
        """Something may not have been told: let everybody see that."""
        for client in self:
            client.line.skip()

    # --- who is there, and how things stand

    def presence(self, tenant: str) -> list[dict[str, Any]]:
        """Who of *tenant* is there, the latest first."""
        shown = (
            client.presence()
            for client in reversed(self._clients.values())
            if client.is_present and client.principal.tenant == tenant
        )
        return list(itertools.islice(shown, self.most_present))

    def presence_event(self, tenant: str) -> bytes:
        """The same, to be sent."""
        payload = {"presence": self.presence(tenant)}
        return frames.event("presence", payload, self.version)

    def set_health(self, health: Mapping[str, Any]) -> None:
        """Somebody has looked how things stand."""
        self.health = health
        changes = self.version.health + 1
        self.version = attrs.evolve(self.version, health=changes)

    def _presence_changed(self, client: Client) -> None:
        if client.is_present:
            changes = self.version.presence + 1
            self.version = attrs.evolve(self.version, presence=changes)
        if self.on_change is not None:
            self.on_change(shown=client.is_present)

    # --- the end

    def finish(self, reason: str, restart_ms: int | None = None) -> int:
        """The node stops: say so to everybody, and good-bye; how many those were."""
        payload: dict[str, Any] = {"reason": reason}
        if restart_ms is not None:
            payload["restartExpectedMs"] = restart_ms
        event = frames.event("shutdown", payload)
        everybody = list(self)
        self.send(event, everybody)
        for client in everybody:
            client.line.close(RESTART, "service restart")
        return len(everybody)

    def statistics(self) -> dict[str, int]:
        """Figures."""
        return {
            "clients": len(self._clients),
            "strangers": self._strangers.total(),
            "greeted": self.greeted,
            "refused": self.refused,
            "slow": self.slow,
        }
