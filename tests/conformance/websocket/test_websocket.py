"""What is proved: every case of the table, and nobody else feels it."""

import orjson
import pytest
import trio

from beamclaw.config.schema import SocketConfig
from tests.beamclaw.gateway.edge import running, until
from tests.beamclaw.gateway.socket.talk import connected, params
from tests.conformance.websocket import page
from tests.conformance.websocket.cases import GROUPS, MAX_PAYLOAD, Case, cases
from tests.conformance.websocket.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Reader,
    frame,
    request,
)

LAST = "the-last"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Raw:
    """A client that sends what it is given, and reads all that comes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.reader = Reader()

    async def connect(self, port: int, *, greets: bool = True) -> None:
        stream = self.stream
        await stream.send_all(UPGRADE % port)
        while b"\r\n\r\n" not in self.reader.buffer:
            self.reader.buffer += await stream.receive_some()
        head, _, rest = bytes(self.reader.buffer).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.reader.buffer = bytearray(rest)
        await self.frame()
        if not greets:
            return
        asked = {"type": "req", "id": "c", "method": "connect", "params": params()}
        await stream.send_all(frame(TEXT, orjson.dumps(asked)))
        assert orjson.loads((await self.frame())[1])["ok"]

    async def frame(self) -> tuple[int, bytes]:
        """The next frame; of sort -1 at the end."""
        with trio.fail_after(60):
            while (found := self.reader.next()) is None:
                try:
                    data = await self.stream.receive_some()
                except trio.BrokenResourceError:
                    data = b""
                if not data:
                    return -1, b""
                self.reader.buffer += data
        return found

    async def send(self, case: Case) -> None:
        chunk = case.chunk or max(1, len(case.data))
        try:
            for start in range(0, len(case.data), chunk):
                await self.stream.send_all(case.data[start : start + chunk])
                if case.chunk:
                    await trio.lowlevel.checkpoint()
            if case.close is None:
                await self.stream.send_all(frame(TEXT, request(LAST)))
        except trio.BrokenResourceError:
            pass  # it was closed before it had read all

    async def outcome(self, case: Case) -> tuple[list[str], list[bytes], int | None]:
        """Ids that were answered, pongs, and the code of the good-bye."""
        ids: list[str] = []
        pongs: list[bytes] = []
        # Requests are answered when they are done: the last one may overtake others.
        left = 2
        while True:
            opcode, payload = await self.frame()
            if opcode == PONG:
                pongs.append(payload)
            elif opcode == CLOSE:
                assert (await self.frame())[0] == -1, "something behind the good-bye"
                return ids, pongs, int.from_bytes(payload[:2], "big")
            elif opcode == -1:
                return ids, pongs, -1
            elif opcode == TEXT:
                value = orjson.loads(payload)
                if value["type"] != "res":
                    continue
                if value["id"] != LAST:
                    ids.append(value["id"])
                    continue
                left -= 1
                if left == 0:
                    return ids, pongs, None
                await self.stream.send_all(frame(TEXT, request(LAST)))
            else:
                assert opcode == PING


async def play(port: int, case: Case) -> tuple[list[str], list[bytes], int | None]:
    found: list[tuple[list[str], list[bytes], int | None]] = []

    async def read() -> None:
        found.append(await raw.outcome(case))

    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream, trio.open_nursery() as nursery:
        raw = Raw(stream)
        await raw.connect(port)
        nursery.start_soon(read)
        await raw.send(case)
    return found[0]


def fits(case: Case, ids: list[str], pongs: list[bytes], code: int | None) -> bool:
    answered = set(ids) <= set(case.ids)
    if case.close is None:
        answered = sorted(ids) == sorted(case.ids)
    return answered and pongs == list(case.pongs) and code == case.close


@pytest.mark.parametrize("group", GROUPS)
async def test_what_comes_of_frames(group):
    wrong: list[str] = []
    socket = SocketConfig(max_payload=MAX_PAYLOAD)
    async with running(socket=socket) as node, connected(node.port) as other:
        for case in (case for case in cases() if case.group == group):
            found = await play(node.port, case)
            if not fits(case, *found):
                wrong.append(f"{case.name}: {found}, and not {case.outcome}")
            assert (await other.call("system-presence"))["ok"]
            await until(lambda: node.now.connections == 1)
        crashed = [e for e in node.events if "crash" in e.name]
    assert wrong == []
    assert crashed == []


def test_each_case_stands_once():
    found = [(case.group, case.name) for case in cases()]
    assert len(set(found)) == len(found)
    assert {case.group for case in cases()} == set(GROUPS)


def test_the_page_is_what_the_table_says():
    assert page.PAGE.read_text() == page.text(), (
        "write it anew: python -m tests.conformance.websocket.page"
    )
