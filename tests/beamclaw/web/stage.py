"""An internet of a few names, whose pages a server on this machine has.

The guard is the real one: nothing here opens an address to it. Only the last step is
another one, where a connection to a public address is made to the server instead.
"""

import gzip
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
import trio.testing

from beamclaw.web.dialing import secured
from beamclaw.web.fetching import Bounds, Way
from beamclaw.web.targets import Policy

PUBLIC = "93.184.215.14"
OTHER = "151.101.1.140"
SIX = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
TLS = Path(__file__).with_name("tls")
NAMES = {
    "page.example": [PUBLIC],
    "other.example": [OTHER],
    "six.example": [SIX],
}


def answer(body=b"", status=200, kind="text/html", **headers):
    head = [f"HTTP/1.1 {status} Said", f"Content-Type: {kind}"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if not {"Transfer_Encoding", "Content_Length"} & {*headers}:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def moved(to, status=302):
    return answer(status=status, Location=to)


def packed(body):
    return answer(gzip.compress(body), Content_Encoding="gzip")


@attrs.define(eq=False, slots=False)
class Internet:
    """A dialer, and the servers that it leads to.

    Attributes:
        names: The addresses of each name; a list of lists is one answer after the other.
        pages: What is said at a path: bytes, or a function of a stream.
        asked: Which names were looked up.
        connected: Which addresses were connected to.
        requests: All that was sent to the server.
    """

    names: dict = attrs.field(factory=lambda: dict(NAMES))
    pages: dict = attrs.field(factory=dict)
    asked: list = attrs.field(factory=list)
    connected: list = attrs.field(factory=list)
    requests: list = attrs.field(factory=list)
    nursery: trio.Nursery | None = None
    # None: connections are in memory, so that a virtual clock can be used.
    port: int | None = None

    async def resolve(self, host, port):
        await trio.lowlevel.checkpoint()
        self.asked.append(host)
        found = self.names.get(host)
        if found is None:
            raise OSError("no such name")
        if found and isinstance(found[0], list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found

    async def connect(self, addresses, port, *, tls):
        self.connected.append((str(addresses[0]), port))
        if self.port is not None:
            stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        else:
            stream, theirs = trio.testing.memory_stream_pair()
            assert self.nursery is not None
            self.nursery.start_soon(self.serve, theirs)
        if tls is None:
            return stream
        context = ssl.create_default_context(cafile=TLS / "ca.pem")
        return await secured(stream, context, tls)

    async def serve(self, stream):
        try:
            if self.port is not None and any(port == 443 for _, port in self.connected):
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(TLS / "page.pem")
                stream = trio.SSLStream(stream, context, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := await stream.receive_some(4096)):
                    return
                head += more
            self.requests.append(head.decode())
            said = self.pages[head.split()[1].decode()]
            if isinstance(said, bytes):
                await stream.send_all(said)
            else:
                await said(stream)
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)

    def way(self, policy=None, **bounds):
        return Way(dialer=self, policy=policy or Policy(), bounds=Bounds(**bounds))


@asynccontextmanager
async def opened(*, real=True):
    made = Internet()
    async with trio.open_nursery() as nursery:
        made.nursery = nursery
        if real:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            made.port = listeners[0].socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, made.serve, listeners)
        yield made
        nursery.cancel_scope.cancel()
