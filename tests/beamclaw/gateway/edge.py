"""A real gateway on a real socket, above a tenant that does what the test wants."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

import attrs
import openai
import orjson
import trio

import supervision
from beamclaw import bus as carrier
from beamclaw import gateway
from beamclaw.config.current import Current
from beamclaw.config.schema import (
    AgentConfig,
    AuthConfig,
    Config,
    GatewayConfig,
    HooksConfig,
)
from beamclaw.contracts import gateway as contract
from beamclaw.contracts import names
from beamclaw.contracts.codec import decode
from beamclaw.contracts.ledger_errors import IdempotencyConflict
from beamclaw.contracts.ledger_inbox import Accept, InboxRow, Receipt
from beamclaw.contracts.ledger_reads import ReadMessage, ReadRun, ReadWaits
from beamclaw.contracts.ledger_rows import Outcome, RunRow
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.sessions import (
    Abort,
    Delta,
    Inbound,
    Peek,
    Ring,
    RunEnded,
    RunView,
    Wake,
)
from supervision import ChildSpec
from tests.support.rows import MemoryStore, Rows

TOKEN = "canary-4f6f2b0e"
LEDGER = "default/ledger"
SESSIONS = "default/sessions"


@attrs.define(eq=False)
class Run:
    """What a test may do with a run that the tenant was given."""

    inbound: Inbound
    run_id: str
    tenant: "Tenant"
    text: str = ""
    attempt: int = 1
    aborted: trio.Event = attrs.field(factory=trio.Event)

    @property
    def topic(self) -> str:
        return names.topic("default", self.inbound.session_key)

    def publish(self, value: object) -> int:
        return self.tenant.bus.publish(self.topic, value)

    def say(self, text: str) -> None:
        start, self.text = len(self.text), self.text + text
        self.publish(Delta(self.run_id, self.attempt, start, text))

    def end(
        self, outcome: Outcome = "ok", stop_reason: str = "stop", **more: Any
    ) -> None:
        usage = Usage(7, 3)
        end = RunEnded(
            run_id=self.run_id,
            outcome=outcome,
            stop_reason=stop_reason,
            text=self.text,
            usage=usage,
            **more,
        )
        self.tenant.rows[self.run_id] = RunRow(
            run_id=self.run_id,
            session_key=self.inbound.session_key,
            state="ended",
            outcome=outcome,
            stop_reason=stop_reason,
            text=self.text,
            usage=usage,
            **more,
        )
        self.publish(end)

    @property
    def over(self) -> bool:
        return self.tenant.rows[self.run_id].state == "ended"


async def echo(run: Run) -> None:
    """Say in two pieces what was asked."""
    words = run.inbound.messages[-1].text
    run.say(words[:1])
    run.say(words[1:])
    run.end()


@attrs.define(eq=False)
class Tenant:
    """What the stand-in of a tenant keeps, whatever dies."""

    bus: carrier.LocalBus
    think: Callable[[Run], Awaitable[None]] = echo
    refuse: Exception | None = None
    accepted: dict[tuple[str, ...], Accept] = attrs.field(factory=dict)
    rows: dict[str, RunRow] = attrs.field(factory=dict)
    runs: list[Run] = attrs.field(factory=list)
    said: trio.Event = attrs.field(factory=trio.Event)

    @property
    def inbounds(self) -> list[Inbound]:
        return [decode(accept.body, Inbound) for accept in self.accepted.values()]


class FakeLedger(supervision.Server):
    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        tenant = self.tenant
        if isinstance(request, ReadRun):
            return tenant.rows.get(request.run_id)
        if isinstance(request, ReadMessage):  # none waits here
            return None
        if isinstance(request, ReadWaits):  # nobody is asked anything here
            return ()
        assert isinstance(request, Accept)
        if tenant.refuse is not None:
            supervision.reply_error(sender, tenant.refuse)
            return supervision.NO_REPLY
        at = (
            request.source,
            request.account,
            request.conversation,
            request.external_id,
        )
        known = tenant.accepted.setdefault(at, request)
        if known.fingerprint != request.fingerprint:
            supervision.reply_error(sender, IdempotencyConflict("other"))
            return supervision.NO_REPLY
        tenant.rows.setdefault(
            known.run_id,
            RunRow(run_id=known.run_id, session_key=known.session_key, state="running"),
        )
        receipt = Receipt(
            inbox_id=len(tenant.accepted),
            run_id=known.run_id,
            session_key=known.session_key,
            at=known.at,
            duplicate=known is not request,
            fresh=known is request,
        )
        if not receipt.duplicate:
            row = InboxRow(
                id=receipt.inbox_id,
                session_key=receipt.session_key,
                run_id=receipt.run_id,
                at=request.at,
                body=request.body,
            )
            supervision.cast("default/sessions", Ring(row, receipt.fresh))
        return receipt


class FakeSessions(supervision.Server):
    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    async def handle_cast(self, message: object) -> None:
        assert isinstance(message, Ring)
        inbound = decode(message.row.body, Inbound)
        run = Run(inbound, message.row.run_id, self.tenant)
        self.tenant.runs.append(run)
        name = names.session("default", message.row.session_key)
        if supervision.whereis(name) is None:
            supervision.register(name)
        supervision.start_task("default/runs", self.tenant.think, run)

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        if isinstance(request, Wake):
            return None
        run = next((r for r in self.tenant.runs if r.run_id == request.run_id), None)
        if isinstance(request, Abort):
            if run is not None:
                run.aborted.set()
            return run is not None
        assert isinstance(request, Peek)
        if run is None or run.over:
            return RunView(run_id=request.run_id, running=False)
        return RunView(
            run_id=run.run_id, running=True, attempt=run.attempt, text=run.text
        )


@attrs.define(eq=False)
class Node:
    """A gateway to talk to."""

    config: Config
    tenant: Tenant
    events: list[supervision.Event]
    rows: Rows

    @property
    def address(self) -> contract.Address:
        found = contract.address()
        assert found is not None
        return found

    @property
    def port(self) -> int:
        return self.address.port

    def client(self, **options) -> openai.OpenAI:
        options = {"api_key": TOKEN, "max_retries": 0, "timeout": 30.0} | options
        return openai.OpenAI(base_url=f"{self.address.url}/v1", **options)

    async def ask(self, *said: str, model="openclaw", options=(), **more) -> Any:
        """Ask by OpenAI's own client, in a thread; chunks as a list, or the answer."""
        messages = [{"role": "user", "content": text} for text in said]

        client = self.client(**dict(options))

        def work():
            with client:
                got = client.chat.completions.create(
                    **({"model": model, "messages": messages} | more)
                )
                return list(got) if more.get("stream") else got

        return await trio.to_thread.run_sync(work)

    async def post(self, body: object, headers=(), **more) -> "Answer":
        """POST /v1/chat/completions."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        path = "/v1/chat/completions"
        return await self.request("POST", path, raw, headers, **more)

    async def status(self) -> contract.GatewayStatus:
        return await supervision.call("gateway", contract.GetGatewayStatus())

    @property
    def now(self) -> contract.GatewayStatus:
        """The status without asking anybody."""
        status = supervision.state("gateway")["status"]
        assert isinstance(status, contract.GatewayStatus)
        return status

    async def begun(self) -> "Run":
        """The run of the only message, when it has begun."""
        await until(lambda: self.tenant.runs)
        return self.tenant.runs[0]

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def send(self, data: bytes, *, seconds: float = 10.0) -> bytes:
        """Send *data* on a connection of its own; all that comes until its end."""
        stream = await self.connect()
        async with stream:
            with trio.fail_after(seconds):
                await stream.send_all(data)
                return await read_all(stream)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers=(),
        *,
        token: str | None = TOKEN,
    ) -> "Answer":
        """One request with ``Connection: close``."""
        given = {"host": f"127.0.0.1:{self.port}", "connection": "close"}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        if method == "POST":
            given["content-type"] = "application/json"
            given["content-length"] = str(len(body))
        given |= dict(headers)
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in given.items() if value]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return Answer.of(await self.send(head + body))


@attrs.frozen
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, raw: bytes) -> "Answer":
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in rest)
        return cls(int(first.split()[1]), headers, body)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


def user(text: str, **more) -> dict[str, Any]:
    """A request's body."""
    return {
        "model": "openclaw",
        "messages": [{"role": "user", "content": text}],
        **more,
    }


def events(body: bytes) -> list[Any]:
    """The data of a chunked body's server-sent events."""
    data = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [line.decode() if line == b"[DONE]" else orjson.loads(line) for line in data]


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens at the other end of a socket."""
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110 -- nobody there sets an event
            await trio.sleep(0.001)


async def kill(name: str) -> None:
    """Kill the process *name*, and wait for the next one."""
    pid = supervision.whereis(name)
    assert pid is not None
    supervision.exit(pid, supervision.KILL)
    await until(lambda: supervision.whereis(name) not in (None, pid))


async def forever(run: Run) -> None:
    """Never answer."""
    await trio.sleep_forever()


async def read_all(stream: trio.SocketStream) -> bytes:
    got = b""
    try:
        while data := await stream.receive_some(65536):
            got += data
    except trio.BrokenResourceError:
        pass
    return got


@asynccontextmanager
async def running(
    *,
    tenant_up: bool = True,
    agents: tuple[str, ...] = ("main", "bob"),
    auth: Literal["token", "none"] | AuthConfig = "token",
    beside: Sequence[ChildSpec] = (),
    hooks: HooksConfig | None = None,
    wall: Callable[[], float] = lambda: 1_800_000_000.0,
    **numbers: Any,
) -> AsyncIterator[Node]:
    if isinstance(auth, str):
        auth = AuthConfig(mode=auth, token=Secret(TOKEN))
    config = Config(
        agents={agent: AgentConfig() for agent in agents},
        hooks=hooks or HooksConfig(),
        gateway=GatewayConfig(port=0, auth=auth, **numbers),
    )
    rows = Rows()
    bus = carrier.LocalBus()
    tenant = Tenant(bus)
    events: list[supervision.Event] = []
    detach = supervision.telemetry.attach(events.append)
    outside = Outside(worker=InlineWorker, wall=wall)
    parts = [
        ChildSpec(
            "runs", supervision.TaskSupervisor, name="default/runs", type="supervisor"
        ),
        ChildSpec("ledger", partial(FakeLedger, tenant), name=LEDGER),
        ChildSpec("sessions", partial(FakeSessions, tenant), name=SESSIONS),
    ]
    children = [
        ChildSpec("store", partial(MemoryStore, rows), name="store"),
        ChildSpec("bus", carrier.BusServer, name="bus"),
        *(parts if tenant_up else []),
        *beside,
        ChildSpec(
            "gateway",
            partial(
                gateway.supervisor,
                Current(config),
                bus,
                outside,
                ports=gateway.Ports(),
            ),
            type="supervisor",
        ),
    ]
    try:
        async with supervision.open_supervisor(children):
            yield Node(config, tenant, events, rows)
    finally:
        detach()
