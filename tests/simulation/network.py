"""A network in memory: Trio's sockets, with bytes that take their time and get lost.

Trio lets a program bring its own sockets and its own resolver of names; these are used
here, so that everything above them is what runs on a real network: Trio's streams, the
HTTP client with its pools, the server of a fake. Bytes arrive in other pieces than they
were sent in, connections overtake each other, and each has a fate that its seed draws.
"""

import errno
import os
import random
import socket as system
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import attrs
import trio

from tests.simulation.trace import Trace

Fate = Literal["fine", "refused", "nobody", "unreachable", "reset", "silent"]
_BAD: tuple[Fate, ...] = (
    *("refused", "nobody", "unreachable"),
    *("reset", "reset", "reset", "silent"),
)
_MOST = 64 * 1024
# When a bad fate strikes: after so many bytes, or at a moment that matters. Before the
# first byte of an answer everything is done and nobody knows; after its last one, who
# has sent it takes it for delivered.
Moment = Literal["bytes", "head", "end"]
_MOMENTS: tuple[Moment, ...] = ("bytes", "bytes", "head", "end", "end")
# What the last bytes of an answer look like, to all who answer here.
_ENDS = (b"0\r\n\r\n", b"}")
Address = tuple[str, int]
# Where the persons find the node, whatever it believes that it listens on.
NODE: Address = ("10.0.0.9", 18789)


@attrs.frozen
class Segment:
    """Bytes on their way; none of them: the end. Times are on the virtual clock."""

    data: bytes
    sent: float
    due: float


@attrs.define(eq=False)
class Pipe:
    """One direction of a connection."""

    segments: deque[Segment] = attrs.field(factory=deque[Segment])
    last: float = 0.0
    changed: trio.Event = attrs.field(factory=trio.Event)

    def wake(self) -> None:
        """Have whoever reads look again."""
        self.changed.set()
        self.changed = trio.Event()


@attrs.define(eq=False)
class Link:
    """A connection, and what becomes of it after *left* more bytes in all.

    Attributes:
        latency: Seconds that every byte is on its way, at least.
        fate: What happens then; what has happened is *fine* again.
        is_reset: It was reset: both sides are told when they next look.
        is_silent: Nothing arrives any more, in neither direction.
        moment: When its fate strikes.
        side: Whose network it is, in the trace.
    """

    network: "Network"
    latency: float
    fate: Fate
    left: int
    moment: Moment = "bytes"
    side: str = "network"
    pipes: tuple[Pipe, Pipe] = attrs.field(factory=lambda: (Pipe(), Pipe()))
    is_reset: bool = False
    is_silent: bool = False

    def put(self, pipe: Pipe, data: bytes) -> None:
        """Send *data*, or its end, in pieces."""
        rng, now = self.network.random, trio.current_time()
        through = self._lets_through(pipe, data)
        lost = through is not None
        data = data[:through]
        self.left -= len(data)
        start = 0
        while start < len(data):
            piece = data[start : start + rng.choice((1, 7, 60, 500, _MOST, _MOST))]
            start += len(piece)
            self._add(pipe, piece, now)
        if lost:
            self.strike()
        elif not data:
            self._add(pipe, b"", now)
        pipe.wake()

    def _lets_through(self, pipe: Pipe, data: bytes) -> int | None:
        """How many bytes of *data* go before its fate strikes; None: it does not."""
        if self.fate == "fine":
            return None
        if self.moment == "bytes":
            return self.left if len(data) >= self.left else None
        if pipe is self.pipes[0] or not data:
            return None
        if self.moment == "head":
            return 0
        return len(data) if data.endswith(_ENDS) else None

    def _add(self, pipe: Pipe, piece: bytes, now: float) -> None:
        late = self.network.random.choice((0.0, 0.0, 0.001, 0.02))
        pipe.last = max(pipe.last, now + self.latency + late)
        pipe.segments.append(Segment(piece, now, pipe.last))

    def strike(self) -> None:
        """What its fate says, now."""
        when = "" if self.moment == "bytes" else f", {self.moment}"
        self.network.note(f"a connection is {self.fate}{when}", self.side)
        self.is_silent = self.fate == "silent"
        self.is_reset = self.fate == "reset"
        self.fate = "fine"
        for pipe in self.pipes:
            pipe.wake()

    def reset(self) -> None:
        """One side has gone, and wants nothing any more."""
        if not self.is_silent:
            self.is_reset = True
        for pipe in self.pipes:
            pipe.wake()


@attrs.define(eq=False)
class Network:
    """The network of one world.

    Attributes:
        trouble: How likely a connection has a bad fate.
        hosts: Addresses of the providers, by their names.
        sites: What is said to who asks for the addresses of another name: first,
            second and so on, and then again.
        links: How many connections to providers there were.
        lines: How many to the node.
        reached: The addresses of sites that somebody began to connect to.
        failed: How often one to a provider failed, or none came about.
        lost: How often one to the node did.
        missed: How often one to a site did.
    """

    random: random.Random
    trace: Trace
    trouble: float
    hosts: Mapping[str, str]
    sites: Mapping[str, tuple[tuple[str, ...], ...]] = attrs.field(
        factory=dict[str, tuple[tuple[str, ...], ...]]
    )
    links: int = 0
    lines: int = 0
    failed: int = 0
    lost: int = 0
    missed: int = 0
    reached: list[str] = attrs.field(factory=list[str])
    _lookups: Counter[str] = attrs.field(factory=Counter[str])
    _listening: dict[Address, "Socket"] = attrs.field(factory=dict[Address, "Socket"])

    def enable(self) -> None:
        """Use it for all sockets and names of this run of Trio."""
        trio.socket.set_custom_socket_factory(_Factory(self))
        trio.socket.set_custom_hostname_resolver(_Resolver(self))

    def note(self, what: str, side: str = "network") -> None:
        """Something of it fails; on the side of the persons it does no harm."""
        self.failed += side == "network"
        self.lost += side == "lines"
        self.missed += side == "sites"
        self.trace.note(side, what)

    def side_of(self, address: Address) -> str:
        """Whose connection one to *address* is."""
        if address == NODE:
            return "lines"
        return "network" if address[0] in self.hosts.values() else "sites"

    def look_up(self, name: str) -> tuple[str, ...]:
        """The addresses of *name*, if it has any; another time there may be others."""
        if name in self.hosts:
            return (self.hosts[name],)
        answers = self.sites.get(name)
        if answers is None:
            return ()
        self._lookups[name] += 1
        return answers[(self._lookups[name] - 1) % len(answers)]

    def bad(self, *fates: Fate) -> Fate:
        """The fate that is drawn, if it is one of *fates*."""
        if self.random.random() >= self.trouble:
            return "fine"
        chosen = self.random.choice(_BAD)
        return chosen if chosen in fates else "fine"

    def listen(self, address: Address, listener: "Socket") -> None:
        """Have *listener* take the connections to *address*."""
        if address in self._listening:
            raise _os_error(errno.EADDRINUSE)
        self._listening[address] = listener

    def unlisten(self, address: Address) -> None:
        """Nobody takes connections to *address* any more."""
        self._listening.pop(address, None)

    async def connect(self, near: "Socket", address: Address) -> None:
        """Give *near* a connection to who listens at *address*.

        Raises:
            OSError: As the system does.
        """
        rng = self.random
        side = self.side_of(address)
        if side == "sites":
            self.reached.append(address[0])
        fate = self.bad("refused", "unreachable", "reset", "silent")
        latency = rng.choice((0.0, 0.001, 0.03, 0.4))
        await trio.sleep(2 * latency)
        if fate == "unreachable":
            self.note("nobody answers", side)
            await trio.sleep(130.0)
            raise _os_error(errno.ETIMEDOUT)
        listener = self._listening.get(address)
        if listener is None or fate == "refused":
            self.note("refused", side)
            raise _os_error(errno.ECONNREFUSED)
        if side == "lines":
            self.lines += 1
        elif side == "network":
            self.links += 1
        left = rng.choice((0, 40, 400, 3_000, 20_000)) + rng.randrange(900)
        moment = "bytes" if fate == "fine" else rng.choice(_MOMENTS)
        link = Link(self, latency, fate, left, moment, side)
        near.join(link, 0, ("10.1.0.1", 20_000 + self.links + self.lines), address)
        far = Socket(self)
        far.join(link, 1, address, near.getsockname())
        listener.came(far)


class Socket(trio.socket.SocketType):
    """A socket of Trio's, on the network in memory."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network
        self._link: Link | None = None
        self._in = self._out = Pipe()
        self._here: Address = ("0.0.0.0", 0)
        self._there: Address | None = None
        self._waiting: deque[Socket] | None = None
        self._came = trio.Event()
        self._closed = False
        self._done = False
        self.heard = 0.0  # when the last that was read here had been sent
        self.aborts = False  # closing it throws away what the other side has not read
        self.closing: Callable[[], object] | None = None

    # --- what Trio asks of each

    family = system.AF_INET  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    type = system.SOCK_STREAM  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    proto = system.IPPROTO_TCP  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]

    @property
    def did_shutdown_SHUT_WR(self) -> bool:  # noqa: N802 -- Trio's name
        return self._done

    def fileno(self) -> int:
        return -1 if self._closed else 1

    def getsockname(self) -> Address:
        return self._here

    def getpeername(self) -> Address:
        if self._there is None:
            raise _os_error(errno.ENOTCONN)
        return self._there

    def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> Any:
        del level, buflen
        return int(optname == system.SO_ACCEPTCONN and self._waiting is not None)

    def setsockopt(self, *_: Any, **__: Any) -> None:
        self._alive()

    @property
    def is_broken(self) -> bool:
        """Whether the network, or a reset, has kept something from arriving."""
        return self._link is None or self._link.is_reset or self._link.is_silent

    def is_readable(self) -> bool:
        return self._closed or self._ready() is not None

    # --- listening

    async def bind(self, address: Any) -> None:
        await trio.lowlevel.checkpoint()
        self._here = address[:2]

    def listen(self, backlog: int = 0) -> None:
        del backlog
        self._waiting = deque()
        self._network.listen(self._here, self)

    def listen_at(self, address: Address) -> None:
        """Listen there."""
        self._here = address
        self.listen()

    def take(self) -> "Socket | None":
        """Whoever has waited longest to be accepted."""
        return self._waiting.popleft() if self._waiting else None

    async def wait_incoming(self) -> bool:
        """Until somebody waits to be accepted; False: it is closed."""
        await trio.lowlevel.checkpoint()
        while not self._waiting and not self._closed:
            self._came = trio.Event()
            await self._came.wait()
        return not self._closed

    def came(self, far: "Socket") -> None:
        """Somebody has connected."""
        assert self._waiting is not None
        self._waiting.append(far)
        self._came.set()

    async def accept(self) -> tuple["Socket", Address]:
        await self.wait_incoming()
        self._alive()
        far = self.take()
        assert far is not None
        return far, far.getpeername()

    # --- connected

    async def connect(self, address: Any) -> None:
        await self._network.connect(self, address[:2])

    def join(self, link: Link, side: int, here: Address, there: Address) -> None:
        """Be one side of *link*."""
        self._link, self._here, self._there = link, here, there
        self._out, self._in = link.pipes[side], link.pipes[1 - side]

    async def send(self, data: Any, flags: int = 0) -> int:
        del flags
        await trio.lowlevel.checkpoint()
        return self.send_now(data)

    def send_now(self, data: Any) -> int:
        """Send all of it, without a step of the scheduler."""
        link = self._joined()
        if link.is_reset:
            raise _os_error(errno.ECONNRESET)
        if not link.is_silent:
            link.put(self._out, bytes(data))
        return len(data)

    async def recv(self, buflen: int, flags: int = 0) -> bytes:
        del flags
        await trio.lowlevel.checkpoint()
        while (segment := self._ready()) is None:
            link, changed = self._joined(), self._in.changed
            waits = not self._in.segments or link.is_silent
            due = float("inf") if waits else self._in.segments[0].due
            with trio.move_on_at(due):
                await changed.wait()
        if self._joined().is_reset:
            raise _os_error(errno.ECONNRESET)
        self.heard = segment.sent
        if not segment.data:
            return b""
        self._in.segments.popleft()
        data, rest = segment.data[:buflen], segment.data[buflen:]
        if rest:
            self._in.segments.appendleft(attrs.evolve(segment, data=rest))
        return data

    def _ready(self) -> Segment | None:
        """What can be read now; of a connection that is reset, that."""
        now, link = trio.current_time(), self._link
        if link is None or link.is_silent:
            return None
        if link.is_reset:
            return Segment(b"", now, now)
        segments = self._in.segments
        return segments[0] if segments and segments[0].due <= now else None

    def shutdown(self, flag: int) -> None:
        del flag
        link = self._joined()
        self._done = True
        if not link.is_silent and not link.is_reset:
            link.put(self._out, b"")

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self.closing is not None:
            self.closing()
        if self._waiting is not None:
            self._network.unlisten(self._here)
            for far in self._waiting:
                far.close()
            self._came.set()
        link = self._link
        if link is None or link.is_reset:
            return
        if self.aborts or any(segment.data for segment in self._in.segments):
            link.reset()  # as a system does with what nobody has read
        elif not link.is_silent and not self._done:
            link.put(self._out, b"")
        self._in.wake()

    def _alive(self) -> None:
        if self._closed:
            raise _os_error(errno.EBADF)

    def _joined(self) -> Link:
        self._alive()
        if self._link is None:
            raise _os_error(errno.ENOTCONN)
        return self._link


@attrs.frozen
class _Factory(trio.abc.SocketFactory):
    network: Network

    def socket(
        self,
        family: int = system.AF_INET,
        type: int = system.SOCK_STREAM,
        proto: int = 0,
    ) -> trio.socket.SocketType:
        del proto
        assert (family, type) == (system.AF_INET, system.SOCK_STREAM)
        return Socket(self.network)


@attrs.frozen
class _Resolver(trio.abc.HostnameResolver):
    network: Network

    async def getaddrinfo(  # noqa: PLR0917 -- Trio's
        self,
        host: bytes | None,
        port: Any,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        del family, type, proto, flags
        await trio.sleep(self.network.random.choice((0.0, 0.01, 1.0)))
        name = (host or b"").decode()
        found = self.network.look_up(name)
        if not found or self.network.bad("nobody") == "nobody":
            side = "sites" if name in self.network.sites else "network"
            self.network.note("a name is not known", side)
            raise system.gaierror(system.EAI_NONAME, "Name or service not known")
        kind = system.AF_INET, system.SOCK_STREAM, system.IPPROTO_TCP
        return [(*kind, "", (at, port)) for at in found]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        raise NotImplementedError


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@contextmanager
def virtual_expiry() -> Generator[None]:
    """Have the HTTP client count the age of idle connections on the virtual clock.

    It looks at the system's, and what that says is another thing each time.

    Raises:
        AttributeError: This HTTP client counts it in another way; read its source.
    """
    module: Any = import_module("httpcore2._async.http11")
    before = module.time
    module.time = _Clock()
    try:
        yield
    finally:
        module.time = before


class _Clock:
    def monotonic(self) -> float:
        return trio.current_time()
