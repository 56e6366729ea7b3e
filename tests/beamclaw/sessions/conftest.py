"""One tenant in this process: real ledger, sessions and runs, a scripted model."""

import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import supervision
from beamclaw import bus, commands, ledger, limits, runs, sessions, tools
from beamclaw.agents import AgentDefinition, UnknownAgent
from beamclaw.contracts import names
from beamclaw.contracts.budgets import Cap, Price
from beamclaw.contracts.follow import follow
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.messages import Usage, said
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.providers import (
    Acquire,
    End,
    ModelRequest,
    Permit,
    ProviderEvent,
    TextDelta,
    UsageReport,
)
from beamclaw.contracts.resets import ResetRule
from beamclaw.contracts.retry import RetryPolicy
from beamclaw.contracts.sessions import Inbound, RunEnded, TopicValue, submit
from beamclaw.contracts.subagents import Rules
from beamclaw.contracts.tools import Bounds
from beamclaw.contracts.turns import TurnLimits
from beamclaw.sessions import Retention
from beamclaw.sessions.wiring import Define
from beamclaw.testing._programs import Programs
from beamclaw.testing.strict_bus import StrictBus
from supervision.testing import wait_exit

KEY = "agent:main:main"
MAX_OUTPUT = 4_096
TURN_LIMITS = TurnLimits(
    model_calls=20,
    tool_calls=20,
    seconds=3600.0,
    tokens=100_000,
    failures=6,
    repeats=5,
    begins=3,
    wait_seconds=600.0,
)
BOUNDS = Bounds(told=1_000, kept=300_000, media=100_000)
ALLOWED = Rules(
    spawns={"main": ("other",)},
    hands_over={"main": ("other",)},
    visibility="all",
    agent_to_agent=("*",),
)
PRICE = Price(input=1.0, output=10.0)
Script = Callable[[ModelRequest], AsyncGenerator[ProviderEvent, None]]


async def echo(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    """Say again what was said last, in two pieces."""
    yield TextDelta("you said: ")
    yield TextDelta(request.messages[-1].text)
    yield UsageReport(Usage(10, 2))
    yield End("stop")


@attrs.define
class Model:
    """A provider whose answers are scripted; the last script stays in force."""

    name: str = "test"
    scripts: list[Script] = attrs.field(factory=lambda: [echo])
    calls: list[ModelRequest] = attrs.field(factory=list[ModelRequest])
    tools: dict[str, Any] = attrs.field(factory=dict)

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest
    ) -> AsyncIterator[AsyncIterator[ProviderEvent]]:
        self.calls.append(request)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        async with aclosing(script(request)) as events:
            yield events

    async def aclose(self) -> None:
        pass


class Permits(supervision.Server):
    """Gives every permit at once."""

    async def handle_call(self, request: object, sender: supervision.From) -> object:
        assert isinstance(request, Acquire)
        return Permit(1, 0.0)

    async def handle_cast(self, message: object) -> None:
        pass


@attrs.define
class Wall:
    """The wall's clock: goes with Trio's, and may be put on."""

    seconds: float = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds + trio.current_time()

    def add(self, seconds: float) -> None:
        self.seconds += seconds


@attrs.define
class Tenant:
    """What a test sees of it."""

    folder: Path
    wall: Wall
    model: Model
    bus: bus.LocalBus
    top: supervision.Pid
    sent: int = 0

    async def send(
        self,
        text: str,
        *,
        key: str = KEY,
        external_id: str | None = None,
        **options: object,
    ) -> Receipt:
        self.sent += 1
        inbound = Inbound(
            tenant="default",
            source="test",
            account="a",
            conversation="c",
            external_id=external_id or f"m{self.sent}",
            session_key=key,
            agent="main",
            messages=(said("user", text),),
            run_id=f"run-{self.sent}",
        )
        return await submit(self.bus, attrs.evolve(inbound, **options), at=1.0)

    async def values(self, receipt: Receipt) -> list[TopicValue]:
        """Everything a late reader is given of the run, to its end."""
        topic = names.topic("default", receipt.session_key)
        with self.bus.subscribe(topic) as subscription:
            following = follow(
                self.bus, "default", receipt.run_id, subscription, join=True
            )
            async with aclosing(following) as values:
                return [value async for value in values]

    async def end(self, receipt: Receipt) -> RunEnded:
        last = (await self.values(receipt))[-1]
        assert isinstance(last, RunEnded)
        return last

    async def ask(self, text: str, **options: Any) -> RunEnded:
        return await self.end(await self.send(text, **options))

    async def kill(self, name: str) -> None:
        """Kill whoever has *name*, and wait until that process is gone."""
        pid = supervision.whereis(name)
        assert pid is not None, name
        supervision.exit(pid, supervision.KILL)
        await wait_exit(pid)

    async def there(self, name: str) -> supervision.Pid:
        """Wait, on the virtual clock, until somebody has this name."""
        while (pid := supervision.whereis(name)) is None:  # noqa: ASYNC110 -- virtual
            await trio.sleep(0.01)
        return pid

    async def gone(self, name: str) -> None:
        """Wait, on the virtual clock, until nobody has this name."""
        while supervision.whereis(name) is not None:  # noqa: ASYNC110 -- virtual
            await trio.sleep(0.01)


_epochs = itertools.count(1)


Chain = tuple[tuple[str, str], ...]


def _resolve(fallbacks: Chain, agent: str, model: str | None) -> AgentDefinition:
    if agent not in ("main", "other"):
        raise UnknownAgent(f"there is no agent {agent!r}")
    return AgentDefinition(
        id=agent, provider="test", model=model or "m", fallbacks=fallbacks
    )


def _define(
    fallbacks: Chain, agent: str, model: str | None, session: str
) -> AgentDefinition:
    del session
    return _resolve(fallbacks, agent, model)


def one_late(
    slow: trio.Event, nursery: trio.Nursery
) -> Callable[[Callable[[], None]], None]:
    """How threads reach the loop: at once, but the first word behind *slow* is late by 2 s."""
    held: list[Callable[[], None]] = []
    system = trio.lowlevel.current_trio_token()

    async def written(work: Callable[[], None]) -> None:
        await trio.sleep(2.0)
        work()

    def later(work: Callable[[], None]) -> None:
        if slow.is_set() and not held:
            held.append(work)
            nursery.start_soon(written, work)
        else:
            system.run_sync_soon(work)

    return later


@asynccontextmanager
async def _tenant(
    folder: Path,
    model: Model,
    *,
    idle_seconds: float = 300.0,
    max_awake: int = 100,
    turn_limits: TurnLimits = TURN_LIMITS,
    caps: Sequence[Cap] = (),
    caps_of: Callable[[str], tuple[Cap, ...]] | None = None,
    window: int = 1_000_000,
    keep_tokens: int = 100,
    prices: Price | None = PRICE,
    fallbacks: Chain = (),
    snapshot_every: int = 200,
    reset_rule: ResetRule = ResetRule(),
    retention: Retention = Retention(),
    repeats_seconds: float = 604_800.0,
    rules: Rules = ALLOWED,
    inbox_limit: int = 20,
    max_grants: int = 1_000,
    programs: Programs | None = None,
    later: Callable[[Callable[[], None]], object] | None = None,
    bounds: Bounds = BOUNDS,
    define: Define | None = None,
    others: Sequence[supervision.ChildSpec] = (),
) -> AsyncIterator[Tenant]:
    wall = Wall()
    outside = Outside(
        wall=wall,
        worker=InlineWorker,
        threads=False,
        later=later,
        random=lambda: 0.5,
        launcher=(programs or Programs()).open,
    )
    carrier = StrictBus()

    async def claim(tenant: str) -> int:
        return next(_epochs)

    run_wiring = runs.Wiring(
        tenant="default",
        bus=carrier,
        outside=outside,
        flusher=runs.Flusher(carrier, tick=lambda: 0.04, size=lambda: 1024),
        policies={"test": RetryPolicy(max_attempts=3, first=0.5, most=30)},
        keys={"test": 1},
        max_output=lambda provider, model: MAX_OUTPUT,
        price=lambda provider, model: prices,
        caps=caps_of or (lambda agent: tuple(caps)),
        window=lambda provider, model: window,
        keep_tokens=keep_tokens,
        summary_seconds=60.0,
        limits=turn_limits,
        limits_of=lambda agent: turn_limits,
        tools=lambda caller: tools.cut(model.tools, tools.Layers(), rules, caller),
        begin_call=partial(tools.begin_call, bounds),
        bounds=bounds,
        snapshot_every=snapshot_every,
        subagents=rules,
    )
    numbers = sessions.Numbers(
        settings=sessions.Settings(
            idle_seconds=idle_seconds,
            max_awake=max_awake,
            collect_seconds=0.5,
            revive_first=0.05,
            revive_most=1.0,
            snapshot_every=snapshot_every,
        ),
        rules=sessions.Rules(revive_limit=3),
        retention=retention,
    )
    session_wiring = sessions.Wiring(
        tenant="default",
        bus=carrier,
        outside=outside,
        resolve=partial(_resolve, fallbacks),
        define=define or partial(_define, fallbacks),
        turns=lambda: partial(runs.run_turn, run_wiring),
        numbers=lambda: numbers,
        reset_rule=lambda agent: reset_rule,
    )
    keeper = partial(
        ledger.LedgerServer,
        "default",
        folder / "ledger.db",
        claim=claim,
        inbox_limit=inbox_limit,
        max_grants=max_grants,
        repeats_seconds=repeats_seconds,
        max_batch=64,
        outside=outside,
    )
    spec = supervision.ChildSpec
    parts = [
        spec("bus", bus.BusServer, name="bus"),
        spec("permits", Permits, name="providers/test"),
        spec(
            "commands",
            partial(commands.supervisor, "default", commands.Settings(), outside),
            type="supervisor",
        ),
        spec(
            "tools",
            partial(tools.supervisor, 10),
            name="default/tools",
            type="supervisor",
        ),
        spec("ledger", keeper, name="default/ledger"),
        spec(
            "limits",
            partial(
                limits.LimitsServer,
                "default",
                caps=caps_of or (lambda agent: tuple(caps)),
                warn_at=lambda: 0.8,
                outside=outside,
            ),
            name="default/limits",
        ),
        spec(
            "runs",
            partial(
                runs.supervisor,
                lambda: run_wiring,
                lambda provider, key: model,
            ),
            type="supervisor",
        ),
        spec(
            "sessions", partial(sessions.supervisor, session_wiring), type="supervisor"
        ),
        spec(
            "notices",
            partial(commands.NoticeServer, "default", outside),
            name="default/notices",
        ),
    ]
    async with supervision.open_supervisor(
        [*parts, *others], strategy="rest_for_one", max_restarts=20
    ) as top:
        yield Tenant(folder, wall, model, carrier, top)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def tenant(tmp_path: Path, model: Model) -> AsyncIterator[Tenant]:
    """Ask for ``autojump_clock`` too: pytest-trio takes a clock from the test only."""
    async with _tenant(tmp_path, model) as running:
        yield running


@pytest.fixture
def open_tenant(tmp_path: Path, model: Model) -> Callable[..., object]:
    """A tenant on the same folder, as often as a test wants one."""
    return partial(_tenant, tmp_path, model)
