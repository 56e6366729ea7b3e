"""The socket for commands: who is served, how requests end, what becomes of the file."""

import json
import os
import socket
import stat
import sys
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio

import supervision
from beamclaw.bus import BusServer, LocalBus
from beamclaw.config import Config
from beamclaw.config.current import Current
from beamclaw.config.loader import load
from beamclaw.config.schema import AuthConfig, GatewayConfig
from beamclaw.contracts import names, sessions
from beamclaw.contracts.ledger_inbox import Accept, Receipt
from beamclaw.contracts.ledger_reads import ReadRun
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.shell import Decoder, encode, hello
from beamclaw.contracts.store import DataFolderError
from beamclaw.shell import supervisor
from beamclaw.shell.listener import listen
from beamclaw.shell.request import Node
from supervision import ChildSpec
from supervision.testing import settle, wait_exit, wait_name

MAIN = "agent:main:main"
TOPIC = names.topic("default", MAIN)


class FakeLedger(supervision.Server):
    """Keeps runs by external id, as far as the shell can see."""

    def __init__(self, seen):
        self.seen = seen
        self.runs = {}

    async def handle_call(self, request, sender):
        match request:
            case Accept():
                self.seen.append(request)
                before = self.runs.setdefault(request.external_id, request)
                return Receipt(
                    inbox_id=1,
                    run_id=before.run_id,
                    session_key=before.session_key,
                    at=before.at,
                    duplicate=before is not request,
                )
            case ReadRun(run_id):
                known = [r for r in self.runs.values() if r.run_id == run_id]
                if not known:
                    return None
                return RunRow(
                    run_id=run_id, session_key=known[0].session_key, state="running"
                )
            case _:
                raise NotImplementedError


class FakeDoor(supervision.Server):
    """Answers looks at runs: nothing is in memory."""

    def __init__(self, seen):
        self.seen = seen

    async def init(self):
        for key in ("work", "main"):
            supervision.register(names.session("default", f"agent:main:{key}"))

    async def handle_cast(self, message):
        self.seen.append(message)

    async def handle_call(self, request, sender):
        match request:
            case sessions.Peek(run_id):
                return sessions.RunView(
                    run_id=run_id, running=True, attempt=1, text="so far"
                )
            case sessions.Wake():
                return None
            case sessions.Abort():
                self.seen.append(request)
                return True
            case _:
                raise NotImplementedError


@attrs.frozen
class Client:
    stream: trio.SocketStream
    decoder: Decoder = attrs.field(factory=Decoder)
    waiting: list = attrs.field(factory=list)

    async def send(self, number, method, **params):
        frame = {"id": number, "method": method, "params": params}
        await self.stream.send_all(encode(frame))

    async def receive(self):
        while not self.waiting:
            data = await self.stream.receive_some(65536)
            assert data, "the node has closed the connection"
            self.waiting.extend(self.decoder.feed(data))
        return self.waiting.pop(0)

    async def is_closed(self):
        return await self.stream.receive_some(1) == b""


@asynccontextmanager
async def connected(data, *, greet=True):
    stream = await trio.open_unix_socket(str(data / "node.sock"))
    async with stream:
        client = Client(stream)
        if greet:
            await stream.send_all(encode(hello()))
            frame = await client.receive()
            assert frame["result"]["version"] == 1
        yield client


@asynccontextmanager
async def node(data, seen=None, config=None, trouble=""):
    seen = [] if seen is None else seen
    bus = LocalBus()
    current = Current(attrs.evolve(config or Config(), data=data))
    current.trouble = trouble
    start = partial(supervisor, current, bus, Outside(threads=False))
    children = [
        ChildSpec("bus", BusServer, name="bus"),
        ChildSpec("ledger", partial(FakeLedger, seen), name="default/ledger"),
        ChildSpec("door", partial(FakeDoor, seen), name="default/sessions"),
        ChildSpec("shell", start, type="supervisor", shutdown=None),
    ]
    async with supervision.open_supervisor(children):
        yield bus


def ended(run_id, text="all"):
    return sessions.RunEnded(
        run_id=run_id, outcome="ok", stop_reason="stop", text=text, usage=Usage(1, 2)
    )


# --- databases


@pytest.mark.parametrize("method", ["backup.copy", "doctor.database"])
@pytest.mark.parametrize("name", ["ABSOLUTE", "../ledger.db", "node.lock", "x/node.db"])
async def test_only_the_nodes_own_databases_are_read_for_a_command(
    tmp_path, method, name
):
    data = tmp_path / "data"
    (tmp_path / "ledger.db").touch()
    name = name.replace("ABSOLUTE", str(tmp_path / "ledger.db"))
    async with node(data), connected(data) as client:
        await client.send(1, method, name=name, to=str(tmp_path / "copy"))
        error = (await client.receive())["error"]
    assert error["code"] == "params"
    assert "there is no database" in error["message"]
    assert not (tmp_path / "copy").exists()


# --- the file


async def test_the_socket_is_private_and_goes_with_the_node(tmp_path):
    data = tmp_path / "data"
    async with node(data):
        mode = (data / "node.sock").stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert not (data / "node.sock").exists()


async def test_the_socket_of_a_dead_node_is_replaced(tmp_path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "node.sock"))
    left.close()
    async with node(tmp_path), connected(tmp_path) as client:
        await client.send(1, "status")
        assert (await client.receive())["id"] == 1


async def test_the_socket_of_a_living_node_is_refused(tmp_path):
    async with node(tmp_path) as bus:
        second = Node(
            current=Current(attrs.evolve(Config(), data=tmp_path)),
            bus=bus,
            outside=Outside(),
        )
        with pytest.raises(DataFolderError, match="in use by a node that runs"):
            listen(second)
        async with connected(tmp_path):
            pass  # the first one is still there


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: path.write_text("x"), "is in the way: it is no socket"),
        (lambda path: path.mkdir(), "is in the way: it is no socket"),
    ],
)
async def test_what_is_no_socket_is_left_alone(tmp_path, make, words):
    make(tmp_path / "node.sock")
    with pytest.raises(supervision.StartFailed, match=words):
        async with node(tmp_path):
            pass
    assert (tmp_path / "node.sock").exists()


async def test_a_path_that_is_too_long_is_told_in_words(tmp_path):
    with pytest.raises(supervision.StartFailed, match="choose a shorter one"):
        async with node(tmp_path / ("a" * 100)):
            pass


async def test_a_listener_that_dies_comes_back_and_connections_stay(tmp_path):
    async with node(tmp_path), connected(tmp_path) as client:
        pid = supervision.whereis("shell")
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        await wait_exit(pid)
        await wait_name("shell")
        await client.send(1, "status")
        assert (await client.receive())["id"] == 1
        async with connected(tmp_path):
            pass


async def test_the_status_says_why_the_file_cannot_be_used(tmp_path):
    auth = AuthConfig(token=Secret("a-secret-of-the-file"))
    config = Config(gateway=GatewayConfig(auth=auth))
    trouble = "a.yaml:1:1: gateway.prot: a-secret-of-the-file"
    async with (
        node(tmp_path, config=config, trouble=trouble),
        connected(tmp_path) as client,
    ):
        await client.send(1, "status")
        said = (await client.receive())["result"]["config"]["trouble"]
        assert said.startswith("a.yaml:1:1: gateway.prot: ")
        assert "a-secret" not in said


# --- frames


async def test_the_first_frame_has_to_be_hello(tmp_path):
    async with node(tmp_path), connected(tmp_path, greet=False) as client:
        await client.send(1, "status")
        frame = await client.receive()
        assert frame["error"]["code"] == "version"
        assert await client.is_closed()


async def test_another_version_is_told_in_words(tmp_path):
    async with node(tmp_path), connected(tmp_path, greet=False) as client:
        await client.send(0, "hello", version=99)
        frame = await client.receive()
        assert "this node speaks version 1" in frame["error"]["message"]


async def test_who_says_nothing_is_let_go(tmp_path, autojump_clock):
    async with node(tmp_path), connected(tmp_path, greet=False) as client:
        assert await client.is_closed()
        assert trio.current_time() >= 10


@pytest.mark.parametrize(
    "frame, code, words",
    [
        ({"id": 1, "method": "nothing"}, "method", "there are status, chat"),
        ({"id": "x", "method": "status"}, "frame", "a request has an id"),
        (
            {"id": 1, "method": "status", "params": [1]},
            "params",
            "have to be an object",
        ),
        ({"id": 1, "method": "chat"}, "params", "message has to be a text"),
        (
            {"id": 1, "method": "chat", "params": {"message": " ", "id": "a"}},
            "params",
            "the message is empty",
        ),
        (
            {
                "id": 1,
                "method": "chat",
                "params": {"message": "a", "id": "a", "agent": "nobody"},
            },
            "params",
            "there is no agent 'nobody'; agents: main",
        ),
        (
            {
                "id": 1,
                "method": "chat",
                "params": {"message": "a", "id": "a", "model": "x/y"},
            },
            "params",
            "names no configured provider",
        ),
        (
            {
                "id": 1,
                "method": "chat",
                "params": {"message": "a", "id": "a", "session": "cron:x"},
            },
            "params",
            "belong to the node itself",
        ),
        (
            {"id": 1, "method": "chat", "params": {"message": "\ud800", "id": "a"}},
            "params",
            "not valid Unicode",
        ),
        (
            {
                "id": 1,
                "method": "attach",
                "params": {"run_id": "r", "session_key": MAIN},
            },
            "unknown-run",
            "nothing is known of the turn r",
        ),
    ],
)
async def test_what_cannot_be_done_is_told(tmp_path, frame, code, words):
    async with node(tmp_path), connected(tmp_path) as client:
        await client.stream.send_all(json.dumps(frame).encode() + b"\n")
        answer = await client.receive()
        assert answer["error"]["code"] == code
        assert words in answer["error"]["message"]
        await client.send(7, "status")  # the connection goes on
        assert (await client.receive())["id"] == 7


async def test_what_is_no_frame_ends_the_connection_only(tmp_path):
    async with node(tmp_path), connected(tmp_path) as other:
        async with connected(tmp_path) as client:
            await client.stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            assert (await client.receive())["error"]["code"] == "frame"
            assert await client.is_closed()
        await other.send(1, "status")
        assert (await other.receive())["id"] == 1


# --- methods


async def test_status_says_what_does_not_answer(tmp_path):
    async with node(tmp_path), connected(tmp_path) as client:
        await client.send(1, "status")
        found = (await client.receive())["result"]
        assert found["pid"] == os.getpid()
        assert found["address"] is None
        assert found["agent"]["model"] == "demo/demo"
        assert "no process" in found["providers"]["demo"]["unavailable"]
        assert "ended before" in found["tenants"]["default"]["ledger"]["unavailable"]


async def test_a_message_is_accepted_first_and_then_followed(tmp_path):
    seen = []
    async with node(tmp_path, seen) as bus, connected(tmp_path) as client:
        await client.send(1, "chat", message="hello", id="m-1")
        accepted = (await client.receive())["event"]
        run = accepted["run_id"]
        assert accepted["session_key"] == MAIN
        assert not accepted["duplicate"]
        bus.publish(TOPIC, sessions.Waiting(run, "model", "demo/demo"))
        bus.publish(TOPIC, sessions.Delta(run, 1, 0, "a"))
        bus.publish(TOPIC, sessions.Delta("another run", 1, 0, "x"))
        bus.publish(TOPIC, ended(run))
        frames = [await client.receive() for _ in range(4)]
        assert [frame.get("event", {}).get("type") for frame in frames] == [
            "Waiting",
            "Delta",
            "RunEnded",
            None,
        ]
        assert frames[-1] == {"id": 1, "result": True}
    (accept,) = seen
    assert (accept.source, accept.external_id, accept.agent) == (
        "terminal",
        "m-1",
        "main",
    )


async def test_the_same_id_joins_the_same_turn_from_its_first_word(tmp_path):
    async with node(tmp_path) as bus, connected(tmp_path) as client:
        await client.send(1, "chat", message="hello", id="m-1")
        first = (await client.receive())["event"]
        await client.send(2, "chat", message="hello", id="m-1")
        second, text = [(await client.receive())["event"] for _ in range(2)]
        assert (second["run_id"], second["duplicate"]) == (first["run_id"], True)
        assert text["text"] == "so far"
        bus.publish(TOPIC, ended(first["run_id"], "so far, so good"))
        frames = [await client.receive() for _ in range(4)]
        assert sorted(frame["id"] for frame in frames if "result" in frame) == [1, 2]


async def test_attach_and_abort(tmp_path):
    seen = []
    async with node(tmp_path, seen) as bus, connected(tmp_path) as client:
        await client.send(1, "chat", message="hello", id="m-1", session="work")
        accepted = (await client.receive())["event"]
        assert accepted["session_key"] == "agent:main:work"
        run = {key: accepted[key] for key in ("run_id", "session_key")}
        async with connected(tmp_path) as other:
            await other.send(1, "attach", **run)
            assert (await other.receive())["event"]["text"] == "so far"
            await other.send(2, "abort", **run)
            assert await other.receive() == {"id": 2, "result": True}
            await other.send(3, "attach", **{**run, "session_key": MAIN})
            assert (await other.receive())["error"]["code"] == "unknown-run"
        bus.publish(names.topic("default", "agent:main:work"), ended(run["run_id"]))
        while "result" not in (await client.receive()):
            pass
    assert isinstance(seen[-1], sessions.Abort)


async def test_a_part_that_is_down_is_told_so_that_one_can_ask_again(tmp_path):
    async with node(tmp_path), connected(tmp_path) as client:
        pid = supervision.tree().pid
        assert pid is not None
        await supervision.terminate_child(pid, "ledger")
        await client.send(1, "chat", message="hello", id="m-1")
        assert (await client.receive())["error"]["code"] == "unavailable"


async def test_a_command_that_leaves_takes_its_requests_with_it(tmp_path):
    async with node(tmp_path):
        async with connected(tmp_path) as client:
            await client.send(1, "chat", message="hello", id="m-1")
            await client.receive()
            busy = supervision.statistics().processes
        await settle()
        # The connection and the request of it.
        assert supervision.statistics().processes == busy - 2


async def test_no_secret_is_in_status_or_tree(tmp_path):
    canary = "canary-5f1c9a7e"
    env = {"OPENAI_API_KEY": canary, "BEAMCLAW_TOKEN": f"{canary}-token"}
    config = load(env, data=tmp_path).config
    assert config.gateway != GatewayConfig()
    async with node(tmp_path, config=config), connected(tmp_path) as client:

        async def leak():
            raise ValueError(f"with {canary} in it")

        pid = supervision.tree().pid
        assert pid is not None
        bad = ChildSpec("bad", leak, restart="transient", cool_down=COOL)
        await supervision.start_child(pid, bad)
        await settle()
        for method in ("status", "look.tree"):
            await client.send(1, method)
            shown = json.dumps(await client.receive())
            assert canary not in shown
        assert "[secret]" in shown


COOL = supervision.CoolDown(first=60.0)


# A process below this one speaks for itself; what it sends is in its arguments.
CHILD = """
import json, socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
lines = sock.makefile("rwb")
for number, frame in enumerate(json.loads(sys.argv[2])):
    lines.write(json.dumps({"id": number, **frame}).encode() + b"\\n")
    lines.flush()
    print(lines.readline().decode().strip(), flush=True)
"""


async def test_a_command_that_the_node_has_begun_agrees_to_nothing(tmp_path):
    """It looks at what it likes; what it says is taken as words of a stranger."""
    seen = []
    given = {"wait_id": "w", "session_key": MAIN, "verdict": "allow", "by": "anna"}
    frames = [
        dict(hello()),
        {"method": "status"},
        {"method": "answer", "params": given},
        {"method": "chat", "params": {"message": "run it", "id": "m-1"}},
    ]
    async with node(tmp_path, seen):
        done = await trio.run_process(
            [
                sys.executable,
                "-c",
                CHILD,
                str(tmp_path / "node.sock"),
                json.dumps(frames),
            ],
            capture_stdout=True,
        )
    greeted, tree, answer, accepted = map(json.loads, done.stdout.splitlines())
    assert "result" in greeted
    assert "result" in tree
    assert answer["error"]["code"] == "forbidden"
    assert accepted["event"]["type"] == "Accepted"
    accepts = [each for each in seen if isinstance(each, Accept)]
    assert json.loads(accepts[-1].body)["tainted"] is True
