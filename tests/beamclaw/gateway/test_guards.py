"""Each guard against Hypercorn's faults; beside it the proof that the fault is there.

Every scenario runs twice: against the gateway, where it passes, and against the same
paths on bare Quart-Trio and Hypercorn (`stock.py`, a process of its own), where it has
to fail. When a later Hypercorn makes one of those pass, the guard may go.
"""

import contextlib
import socket
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import attrs
import orjson
import pytest
import trio

from beamclaw.gateway import connection, exchange, sockets
from beamclaw.gateway.floor import Floor, Guest
from tests.beamclaw.gateway.edge import (
    TOKEN,
    Run,
    forever,
    read_all,
    running,
    until,
    user,
)

QUIET = 0.5
ROOT = Path(__file__).parents[3]


@attrs.define
class Target:
    """Something that listens. ``stopped`` is set once it has ended.

    *patience* is how long the gateway's answer is waited for, in seconds: only a guard
    against a test that hangs. The bare server is known to let one wait for ever, and
    such a wait is cut short, as it fails either way.
    """

    port: int
    stop: Callable[[], None]
    patience: float = 60.0
    stopped: trio.Event = attrs.field(factory=trio.Event)

    async def connect(self):
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def send(self, data: bytes) -> bytes:
        """All that comes until the end, or until nothing has come for a while."""
        got = b""
        async with await self.connect() as stream:
            await stream.send_all(data)
            while True:
                piece = b""
                with trio.move_on_after(QUIET):
                    piece = await stream.receive_some()
                if not piece:
                    return got
                got += piece

    async def lives(self) -> bool:
        with contextlib.suppress(OSError, trio.BrokenResourceError):
            got = await self.send(get("/healthz", close=True))
            return got.startswith(b"HTTP/1.1 200")
        return False


async def flood_or_trickle(run: Run) -> None:
    """What the stock server does at the same words."""
    words = run.inbound.messages[-1].text
    if words == "flood":
        while True:
            run.say("x" * 60_000)
            await trio.lowlevel.checkpoint()
    elif words == "slow":
        for _ in range(10):
            run.say("x")
            await trio.sleep(0.1)
    run.end()


NUMBERS = {
    "write_timeout": 0.5,
    "header_timeout": 5.0,
    "body_timeout": 0.5,
    "max_connections": 50,
}


async def run_guarded(task_status) -> None:
    target = None
    with trio.CancelScope() as scope:
        async with running(**NUMBERS) as node:
            node.tenant.think = flood_or_trickle
            target = Target(node.port, scope.cancel)
            task_status.started(target)
            await trio.sleep_forever()
    assert target is not None
    target.stopped.set()


async def run_stock(task_status) -> None:
    command = [sys.executable, "-m", "tests.beamclaw.gateway.stock"]
    process = await trio.lowlevel.open_process(command, cwd=ROOT, stdout=-1)
    assert process.stdout is not None
    try:
        port = int(await process.stdout.receive_some())
        target = Target(port, process.terminate, patience=3.0)
        task_status.started(target)
        await process.wait()
        target.stopped.set()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        await process.stdout.aclose()


STACKS = [
    pytest.param(run_guarded, id="guarded"),
    pytest.param(
        run_stock,
        id="stock",
        marks=[
            pytest.mark.slow,
            pytest.mark.xfail(strict=True, reason="the fault that the guard is for"),
        ],
    ),
]


@pytest.fixture(params=STACKS)
async def target(request, nursery):
    target = await nursery.start(request.param)
    with trio.fail_after(2 * target.patience):
        yield target
        nursery.cancel_scope.cancel()


def get(path: str, *lines: str, close: bool = False) -> bytes:
    more = ["Connection: close"] if close else []
    head = [f"GET {path} HTTP/1.1", "Host: localhost", *lines, *more, "", ""]
    return "\r\n".join(head).encode()


def post(words: str, *lines: str, body: bytes | None = None) -> bytes:
    body = orjson.dumps(user(words, stream=True)) if body is None else body
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {TOKEN}",
        "Content-Type: application/json",
        *(lines or (f"Content-Length: {len(body)}",)),
        "",
        "",
    ]
    return "\r\n".join(head).encode() + body


# --- the guards


async def test_a_byte_behind_an_upgrade_request_ends_no_process(target):
    upgrade = get(
        "/healthz",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    async with await target.connect() as stream:
        await stream.send_all(upgrade + b"x")
        with trio.move_on_after(0.5), contextlib.suppress(trio.BrokenResourceError):
            while await stream.receive_some():
                pass
    assert await target.lives()


@pytest.mark.slow
async def test_a_reader_that_stalls_holds_no_shutdown(target):
    async with await target.connect() as stream:
        await stream.send_all(post("flood"))
        assert await stream.receive_some(10)
        await trio.sleep(1)  # until both ends' buffers are full
        target.stop()
        with trio.fail_after(target.patience):
            await target.stopped.wait()


@pytest.mark.slow
async def test_a_long_stream_is_not_cut(target):
    async with await target.connect() as stream:
        await stream.send_all(post("slow"))
        got = b""
        with trio.move_on_after(target.patience):
            while not got.endswith(b"0\r\n\r\n"):
                got += await stream.receive_some()
    assert b"[DONE]" in got


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 5"),
        ("Content-Length: 5", "X: a", " folded: b"),
    ],
)
async def test_a_request_that_is_framed_twice_is_answered_once_with_400(target, lines):
    request = post("x", *lines, body=b"0\r\n\r\n")
    got = await target.send(request + get("/healthz", close=True))
    assert got.startswith(b"HTTP/1.1 400 ")
    assert got.count(b"HTTP/1.1 ") == 1


async def test_the_end_of_a_line_is_cr_lf(target):
    got = await target.send(b"GET /healthz HTTP/1.1\nHost: localhost\n\n")
    assert got.startswith(b"HTTP/1.1 400 ")


async def test_a_body_that_never_comes_is_not_waited_for(target):
    async with await target.connect() as stream:
        await stream.send_all(post("x", "Content-Length: 100", body=b"{"))
        with trio.fail_after(target.patience):
            got = await read_all(stream)
    assert got.startswith(b"HTTP/1.1 408 ")


async def test_one_connection_too_many_costs_the_one_that_waited_longest(target):
    async with contextlib.AsyncExitStack() as stack:
        silent = []
        for _ in range(60):
            stream = await target.connect()
            await stack.enter_async_context(stream)
            silent.append(stream)
        with trio.fail_after(target.patience):
            assert await target.lives()
            with contextlib.suppress(trio.BrokenResourceError):
                assert await silent[0].receive_some() == b""


async def test_a_connection_that_is_to_be_closed_is_closed(target):
    async with await target.connect() as stream:
        await stream.send_all(get("/healthz", close=True))
        with trio.fail_after(target.patience):
            assert (await read_all(stream)).startswith(b"HTTP/1.1 200 ")


async def test_the_server_says_nothing_of_itself(target):
    got = await target.send(get("/healthz", close=True))
    assert b"hypercorn" not in got.lower()


async def test_http_2_does_not_begin_here(target):
    got = await target.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 505 ")


async def test_an_upgrade_to_http_2_is_ignored(target):
    upgrade = get(
        "/healthz",
        "Upgrade: h2c",
        "Connection: Upgrade, HTTP2-Settings",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
    )
    async with await target.connect() as stream:
        await stream.send_all(upgrade)
        assert (await stream.receive_some(13)).startswith(b"HTTP/1.1 200 ")


# --- only here


@pytest.mark.parametrize("name, version", connection.PROVEN.items())
def test_the_guards_are_proven_with_these_versions(name, version):
    assert metadata.version(name) == version, (
        "run the tests of the guards against this version, read what changed in what "
        "they override, and note it in PROVEN"
    )


@pytest.mark.slow
async def test_a_reader_that_stalls_is_dropped_and_the_others_go_on():
    async with running(write_timeout=0.3) as node:
        node.tenant.think = flood_or_trickle
        async with await node.connect() as stream:
            await stream.send_all(post("flood"))
            assert await stream.receive_some(10)
            answer = await node.post(user("hello"))
            assert answer.status == 200
            await until(lambda: not node.now.connections)
        assert any(event.name == connection.STALLED for event in node.events)


async def test_a_slow_reader_gets_everything_in_order():
    async def think(run):
        for _ in range(40):
            run.say("y" * 50_000)
        run.end()

    async with running() as node:
        node.tenant.think = think
        async with await node.connect() as stream:
            await stream.send_all(post("x"))
            got = bytearray()
            while not got.endswith(b"0\r\n\r\n"):
                got += await stream.receive_some(30_000)
                await trio.lowlevel.checkpoint()
    assert b"".join(got.split(b'"content":"')[2:]).count(b"y" * 50_000) == 40
    assert b"[DONE]" in got


async def test_who_is_looked_at_late_has_not_come_late(autojump_clock, monkeypatch):
    enter = Floor.enter

    def busy(floor: Floor, guest: Guest) -> None:
        """The loop does something else for as long as a head may take."""
        enter(floor, guest)
        autojump_clock.jump(11)

    monkeypatch.setattr(Floor, "enter", busy)
    async with running() as node:
        client = socket.create_connection(("127.0.0.1", node.port))
        client.sendall(get("/healthz", close=True))
        async with sockets.stream(client) as stream:
            got = await read_all(stream)
    assert got.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: "])
async def test_a_head_that_never_comes_is_not_waited_for(sent, autojump_clock):
    async with running() as node, await node.connect() as stream:
        if sent:
            await stream.send_all(sent)
        began = trio.current_time()
        got = await read_all(stream)
        assert trio.current_time() - began == pytest.approx(10, abs=0.5)
    assert got.startswith(b"HTTP/1.1 408 ") if sent else not got


async def test_a_request_that_came_too_slowly_is_not_to_be_sent_again(autojump_clock):
    async with running() as node, await node.connect() as stream:
        await stream.send_all(post("x", "Content-Length: 100", body=b"{"))
        got = (await read_all(stream)).lower()
    assert b"\r\nx-should-retry: false\r\n" in got
    assert got.count(b"\r\nconnection: close\r\n") == 1


async def test_a_head_that_drips_has_no_more_time_than_another(autojump_clock):
    async with running() as node, await node.connect() as stream:
        began = trio.current_time()
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(b"GET / HTTP/1.1\r\n")
            while trio.current_time() - began < 30:
                await stream.send_all(b"X: y\r\n")
                await trio.sleep(1)
        assert trio.current_time() - began < 15


async def test_an_idle_connection_is_kept_for_a_while(autojump_clock):
    async with running() as node, await node.connect() as stream:
        began = 0.0
        for _ in range(3):
            await stream.send_all(get("/healthz"))
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
            began = trio.current_time()
            await trio.sleep(60)
        assert await stream.receive_some() == b""
        assert trio.current_time() - began == pytest.approx(75, abs=1)


async def test_requests_that_come_early_are_answered_one_after_the_other():
    async with running() as node, await node.connect() as stream:
        await stream.send_all(get("/healthz") * 5 + get("/readyz", close=True))
        got = await read_all(stream)
    assert got.count(b"HTTP/1.1 200 ") == 6
    assert b'"failing":[]' in got


async def test_a_head_that_comes_early_is_checked_as_well():
    async with running() as node, await node.connect() as stream:
        await stream.send_all(get("/healthz") + b"GET / HTTP/1.1\nHost: localhost\n\n")
        got = await read_all(stream)
    assert got.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 400 " in got


async def test_who_floods_behind_a_request_is_dropped():
    async with running() as node:
        node.tenant.think = forever
        async with await node.connect() as stream:
            with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(60):
                await stream.send_all(post("x"))
                while True:
                    await stream.send_all(b"z" * 65536)


async def test_a_crash_in_an_answer_is_a_500_and_ends_nothing_else():
    async with running() as node:
        node.tenant.bus.subscribe = None  # type: ignore[assignment]
        answer = await node.post(user("hello"))
        assert answer.status == 500
        assert answer.error["type"] == "api_error"
        assert (await node.request("GET", "/healthz")).status == 200
        assert any(event.name == exchange.CRASHED for event in node.events)


@pytest.mark.slow
async def test_five_thousand_half_open_connections_stop_nobody():
    count = min(5000, (sockets.raise_file_limit() - 1000) // 2)
    async with running() as node, contextlib.AsyncExitStack() as stack:
        for number in range(count):
            stream = await stack.enter_async_context(await node.connect())
            if number % 2:
                await stream.send_all(b"POST /v1/chat/completions HTTP/1.1\r\n")
        with trio.fail_after(60):
            assert (await node.post(user("hello"))).status == 200
        status = await node.status()
        assert status.waiting > count * 0.9 or status.accepted > count


async def test_beyond_the_limit_service_goes_on():
    async with running(max_connections=20) as node:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(100):
                await stack.enter_async_context(await node.connect())
            assert (await node.post(user("hello"))).status == 200
            status = await node.status()
        assert status.shed >= 80
        assert status.connections <= 20


async def test_where_all_are_busy_nobody_is_thrown_out_for_a_newcomer():
    async with running(max_connections=2) as node:
        node.tenant.think = forever
        async with await node.connect() as one, await node.connect() as other:
            for stream in (one, other):
                await stream.send_all(post("x"))
                await stream.receive_some()
            async with await node.connect() as late:
                with contextlib.suppress(trio.BrokenResourceError):
                    assert await late.receive_some() == b""
            assert (await node.status()).streams == 2
