"""The gateway's processes: who outlives whom, and what cannot be listened on."""

import contextlib
import socket

import orjson
import pytest
import trio

import supervision
from beamclaw.config.schema import AuthConfig, ControlUiConfig, GatewayConfig
from beamclaw.contracts import gateway as contract
from beamclaw.contracts.secret import Secret
from beamclaw.gateway import sockets
from beamclaw.gateway.connection import Connection
from beamclaw.gateway.floor import Floor, Ports
from beamclaw.gateway.hall import Hall
from beamclaw.gateway.listener import Listener
from beamclaw.shell.slices import Slices
from beamclaw.shell.weighing import weighed
from supervision import ChildSpec
from supervision.testing import wait_exit, wait_name
from tests.beamclaw.gateway.edge import TOKEN, forever, kill, until, user
from tests.beamclaw.gateway.socket.talk import connected

HELLO = {"role": "user", "content": "hello"}


def posted(body: bytes) -> bytes:
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def open_stream(node) -> bytes:
    return posted(b'{"stream":true,"messages":[{"role":"user","content":"abcdefgh"}]}')


async def test_a_connection_whose_process_is_killed_before_its_first_step_is_closed(
    node, monkeypatch
):
    start = supervision.start_task

    def started(*args, **more):
        pid = start(*args, **more)
        supervision.exit(pid, supervision.KILL)
        return pid

    with monkeypatch.context() as patch:
        patch.setattr(supervision, "start_task", started)
        async with await node.connect() as stream:
            with trio.fail_after(10), contextlib.suppress(trio.BrokenResourceError):
                assert await stream.receive_some() == b""
    assert (await node.status()).connections == 0


async def test_a_connection_is_closed_whose_acceptor_is_killed_with_it(
    node, monkeypatch
):
    start = supervision.start_task

    def started(*args, **more):
        pid = start(*args, **more)
        supervision.exit(pid, supervision.KILL)
        supervision.exit("gateway/server", supervision.KILL)
        return pid

    with monkeypatch.context() as patch:
        patch.setattr(supervision, "start_task", started)
        async with await node.connect() as stream:
            with trio.fail_after(10), contextlib.suppress(trio.BrokenResourceError):
                assert await stream.receive_some() == b""


@pytest.mark.parametrize("name", ["gateway", "gateway/server"])
async def test_a_stream_outlives_listener_and_server(node, name):
    go_on = trio.Event()

    async def think(run):
        run.say("one ")
        await go_on.wait()
        run.say("two")
        run.end()

    node.tenant.think = think
    answers = []

    async def ask():
        answers.append(await node.ask("hello", stream=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await node.begun()
        await kill(name)
        go_on.set()
    text = "".join(c.choices[0].delta.content or "" for c in answers[0])
    assert text == "one two"


@pytest.mark.parametrize("name", ["gateway", "gateway/server", "gateway/connections"])
async def test_after_any_death_the_same_address_answers(node, name):
    address = node.address
    await kill(name)
    await until(contract.address)
    await until(lambda: supervision.whereis("gateway/server"))
    assert (await node.post(user("hello"))).status == 200
    assert node.address == address


async def test_nobody_is_refused_while_the_server_restarts(node):
    refused = []

    async def knock():
        for _ in range(30):
            try:
                answer = await node.request("GET", "/healthz")
                assert answer.status == 200
            except OSError as error:
                refused.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(knock)
        await trio.sleep(0.01)
        await kill("gateway/server")
    assert refused == []


async def test_who_knocks_while_connections_are_down_waits_and_crashes_nobody(node):
    crashed = []
    detach = supervision.telemetry.attach(
        lambda event: crashed.append(event) if event.name.endswith("crash") else None
    )
    host, port = node.address.host, node.address.port
    for _ in range(3):  # more often, and the gateway gives up
        pid = await wait_name("gateway/connections")
        server = await wait_name("gateway/server")
        with socket.create_connection((host, port)):
            supervision.exit(pid, supervision.KILL)
            await wait_exit(pid)
        await wait_exit(server)
    await wait_name("gateway/server")
    assert (await node.request("GET", "/healthz")).status == 200
    detach()
    assert crashed == []


async def test_a_connection_is_a_process_that_ends_with_it(node):
    async with await node.connect():
        await until(lambda: node.now.connections)
        counts = await supervision.count_children("gateway/connections")
        assert counts.active == 1
    await until(lambda: not node.now.connections)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_whose_connection_is_killed_never_looks_whole(node, stream):
    async def think(run):
        run.say("half of it")
        await trio.sleep_forever()

    node.tenant.think = think
    async with await node.connect() as connected:
        body = orjson.dumps({"stream": stream, "messages": [HELLO]})
        await connected.send_all(posted(body))
        got = b""
        while stream and b"half" not in got:
            got += await connected.receive_some()
        await node.begun()
        (connection,) = await supervision.which_children("gateway/connections")
        assert connection.pid is not None
        supervision.exit(connection.pid, supervision.KILL)
        with contextlib.suppress(trio.BrokenResourceError):
            while more := await connected.receive_some():
                got += more
    assert got.startswith(b"HTTP/1.1 200" if stream else b"")
    assert not got.endswith(b"0\r\n\r\n")
    assert stream or not got


async def test_a_connection_that_is_cut_off_while_it_says_good_bye_has_not_crashed(
    node, monkeypatch
):
    leaving: list[Connection] = []
    take_leave = Connection._take_leave

    async def note(self: Connection) -> None:
        leaving.append(self)
        await take_leave(self)

    monkeypatch.setattr(Connection, "_take_leave", note)
    async with await node.connect() as connected:
        # Refused before its body is read, so what is on its way is waited for.
        await connected.send_all(posted(b"").replace(b"h: 0", b"h: 99999999999"))
        await until(lambda: leaving)
        (child,) = await supervision.which_children("gateway/connections")
        assert child.pid is not None
        leaving[0].discard()
        assert await wait_exit(child.pid) == supervision.NORMAL


async def test_stopping_the_tree_does_not_wait_for_anybody(start):
    with trio.fail_after(1.5):
        async with start() as node:
            node.tenant.think = forever
            stream = await node.connect()
            await stream.send_all(b"GET /")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask_in_vain, node)
                await node.begun()
                nursery.cancel_scope.cancel()
            other = await node.connect()
            await other.send_all(open_stream(node))
    await stream.aclose()
    await other.aclose()


async def ask_in_vain(node) -> None:
    with contextlib.suppress(AssertionError, IndexError):
        await node.post(user("hello", stream=True, user="ann"))


async def test_the_status_counts(node):
    await node.post(user("hello"))
    await node.post(b"nonsense")
    await node.request("GET", "/v1/models", token=None)
    status = await node.status()
    assert status.accepted == 3
    assert status.answered >= 2
    assert status.refused == 1
    assert status.intake
    assert status.limit == 10_000
    assert supervision.state("gateway")["address"] == node.address.url


# --- what cannot be listened on


async def refusal(**settings) -> str:
    settings = {"auth": AuthConfig(token=Secret("t")), "port": 0} | settings
    config = GatewayConfig(**settings)
    spec = ChildSpec(
        "listener",
        lambda: Listener(config, Floor(limit=10), Hall()),
        name=contract.NAME,
    )
    with pytest.raises(supervision.StartFailed) as caught:
        async with supervision.open_supervisor([spec]):
            pass
    error: BaseException = caught.value
    while isinstance(error, supervision.StartFailed):
        assert isinstance(error.reason, supervision.Crash)
        error = error.reason.error
    assert isinstance(error, contract.CannotListen)
    return str(error)


async def test_a_port_in_use_is_said_in_words():
    taken = await sockets.listen("127.0.0.1", 0, 10)
    port = taken.address.port
    words = await refusal(port=port)
    taken.close()
    assert f"port {port} on 127.0.0.1 is in use" in words
    assert "--port" in words


async def listened_at(ports: Ports, config: GatewayConfig) -> list[int]:
    """Where one incarnation of the gateway listens: it, and the Control UI."""
    floor = Floor(limit=10, ports=ports)
    spec = ChildSpec(
        "listener", lambda: Listener(config, floor, Hall()), name=contract.NAME
    )
    async with supervision.open_supervisor([spec]):
        found = [each for each in (floor.listening, floor.pages) if each is not None]
        return [each.address.port for each in found]


async def test_a_gateway_begun_anew_listens_where_it_was(tmp_path):
    ui = ControlUiConfig(root=tmp_path, port=0)
    auth = AuthConfig(token=Secret("t"))
    config = GatewayConfig(auth=auth, port=0, control_ui=ui)
    ports = Ports()
    first = await listened_at(ports, config)
    assert await listened_at(ports, config) == first
    # Somebody else has taken it meanwhile: any other is as good.
    other = await sockets.listen("127.0.0.1", first[0], 10)
    moved, same = await listened_at(ports, config)
    other.close()
    assert moved not in (0, first[0])
    assert same == first[1]
    assert (ports.gateway, ports.pages) == (moved, same)


async def test_a_port_that_is_configured_is_the_one(tmp_path):
    free = await sockets.listen("127.0.0.1", 0, 10)
    free.close()
    config = GatewayConfig(auth=AuthConfig(token=Secret("t")), port=free.address.port)
    assert await listened_at(Ports(gateway=1), config) == [free.address.port]


async def test_an_address_of_another_machine_is_said_in_words():
    assert "no address of this machine" in await refusal(host="192.0.2.1")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
async def test_others_are_never_let_in_without_a_token(host):
    words = await refusal(host=host, auth=AuthConfig(mode="none"))
    assert "which others can reach" in words


@pytest.mark.parametrize("token", [None, Secret("")])
async def test_a_token_that_is_missing_is_no_open_door(token):
    assert "BEAMCLAW_TOKEN" in await refusal(auth=AuthConfig(token=token))


@pytest.mark.parametrize(
    "host, url",
    [
        ("127.0.0.1", "http://127.0.0.1:5"),
        ("0.0.0.0", "http://127.0.0.1:5"),
        ("::", "http://[::1]:5"),
        ("claw.lan", "http://claw.lan:5"),
    ],
)
def test_an_address_is_shown_as_it_can_be_reached(host, url):
    assert contract.Address(host, 5).url == url


async def test_a_name_with_two_addresses_is_listened_on_at_both():
    try:
        found = await sockets.listen("localhost", 0, 10)
    except contract.CannotListen as error:
        pytest.skip(str(error))
    async with await trio.open_tcp_stream("127.0.0.1", found.address.port):
        await found.wait_incoming()
        for connected in found.accept_nowait():
            connected.close()
    found.close()


async def test_no_process_is_said_to_hold_the_whole_gateway(node):
    async with connected(node.port), connected(node.port):
        held = {}
        for pid in supervision.processes():
            info, found = supervision.info(pid), await weighed(pid, Slices(1.0))
            if info and found and str(info.name).startswith("gateway/"):
                held[str(info.name)] = found.bytes
    assert {"gateway/broadcast", "gateway/server", "gateway/connection/1"} <= {*held}
    assert {name: size for name, size in held.items() if size > 60_000} == {}
