"""A world: one seed from its beginning to its audit."""

import contextlib
import gc
import io
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import attrs
import trio
import trio.testing

import supervision
from beamclaw.agents import workspace_of
from beamclaw.commands.door import LauncherLost
from beamclaw.config.schema import (
    AgentConfig,
    AuthConfig,
    BudgetConfig,
    Config,
    ConfigFileConfig,
    ExecConfig,
    GatewayConfig,
    LimitsConfig,
    LoggingConfig,
    ModelInfo,
    ProviderConfig,
    ResetConfig,
    RetentionConfig,
    SessionsConfig,
    SessionToolsConfig,
    SkillsConfig,
    SkillsLoadConfig,
    SubagentLimitsConfig,
    ToolsConfig,
    TurnLimitsConfig,
    WebConfig,
)
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import hooked
from beamclaw.contracts.resets import ResetMode
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.subagents import SessionTool
from beamclaw.contracts.tools import Order, Tool
from beamclaw.storage import Broken
from supervision.testing import assert_no_leaks
from tests.audit import look
from tests.audit.book import Book, read
from tests.audit.known import Kill
from tests.audit.rules import violations
from tests.simulation import kin
from tests.simulation.clients import People
from tests.simulation.door import Door
from tests.simulation.faults import Faults
from tests.simulation.indexers import Indexers
from tests.simulation.keeper import Keeper
from tests.simulation.model import ModelCall, Models
from tests.simulation.network import Network, virtual_expiry
from tests.simulation.node import Life, Machine, Wall
from tests.simulation.order import repeatable
from tests.simulation.plan import FETCH, ROOMY, WORK, Plan, stream
from tests.simulation.seen import Seen
from tests.simulation.server import HOSTS, serving_models
from tests.simulation.sites import MOST, SITES, Sites, serving_sites
from tests.simulation.tools import Effects, ToldToCrash
from tests.simulation.trace import Trace
from tests.simulation.vectors import MODEL, VectorCall, Vectors
from tests.simulation.web import HEARTBEAT, Web
from tests.simulation.work import NodeDiedError, Work

# Seconds on the virtual clock in which nothing happens at all: then it hangs. Persons
# pause for a day.
PATIENCE = 1.2 * 86_400.0
# What a process may crash with: all of it is done to it by the world.
EXPECTED = (
    LedgerError,
    supervision.CallFailed,
    Broken,
    DataFolderError,
    sqlite3.Error,
    ToldToCrash,
    NodeDiedError,
    LauncherLost,
)
RAM = Path("/dev/shm")
TOKEN = "of-the-world"


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a seed.

    Attributes:
        digest: Of its trace.
        seconds: Virtual time that passed.
        violations: What was broken.
        lines: The trace, if it was kept.
        figures: How much of what happened.
    """

    seed: int
    digest: str
    seconds: float
    violations: tuple[str, ...]
    lines: tuple[str, ...]
    figures: dict[str, int]


def play(seed: int, *, keep: bool = False) -> Outcome:
    """The world of *seed*, played to its end and audited."""
    parent = RAM if RAM.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="sim", dir=parent))
    log = io.StringIO()
    gc.disable()
    try:
        with contextlib.redirect_stderr(log), repeatable(seed):
            world = World(kin.world(seed), folder, Trace(keep=keep))
            clock = trio.testing.MockClock(autojump_threshold=0)
            try:
                # The network's clock first: not all that is idle is closed at once.
                with (
                    virtual_expiry(),
                    hooked(world.trace.point),
                    assert_no_leaks(memory=False),
                ):
                    trio.run(world.run, clock=clock)
            except Exception as error:  # noqa: BLE001 -- whatever it is, it is a finding
                world.found.append(f"{type(error).__name__}: {error!r}")
    finally:
        gc.enable()
        shutil.rmtree(folder, ignore_errors=True)
    lines = (*world.trace.lines, *log.getvalue().splitlines()) if keep else ()
    return Outcome(
        seed=seed,
        digest=world.trace.digest,
        seconds=world.seconds,
        violations=tuple(world.found),
        lines=lines,
        figures=world.figures,
    )


class World:
    """See the module."""

    def __init__(self, planned: Plan, folder: Path, trace: Trace) -> None:
        seed = planned.seed
        self.plan = planned
        self.trace = trace
        self.found: list[str] = []
        self.kills: list[Kill] = []
        self.seconds = 0.0
        self.figures: dict[str, int] = {}
        self._look: sqlite3.Connection | None = None
        self.wall = Wall()
        self.models = Models(
            says=planned.says,
            trace=trace,
            random=stream(seed, "models"),
            trouble=planned.trouble,
            window=planned.window,
            begun=self._model_begun,
            knows=kin.forked(planned),
        )
        self.effects = Effects(trace, stream(seed, "tools"), self._tool_begun)
        self.network = Network(
            stream(seed, "network"), trace, planned.network, HOSTS, SITES
        )
        self.sites = Sites(trace)
        config = configuration(planned, folder / "data")
        self.work = Work(
            workspace_of(config, "main"),
            config,
            self.effects,
            trace,
            stream(seed, "files"),
            self._tool_begun,
        )
        self.machine = Machine(
            config,
            trace,
            self.wall,
            stream(seed, "node"),
            None if planned.http else self.models.connect,
            self._toolbox,
            self.work.programs,
            partial(Door, self.network, stream(seed, "door")),
            self._killed,
            pace=planned.disk_seconds,
        )
        self.web = Web(self.network, trace, stream(seed, "web"), TOKEN)
        self.vectors = Vectors(
            trace, stream(seed, "embeddings"), planned.trouble, self._vectors_begun
        )
        self.indexers = Indexers(self.network, trace, stream(seed, "indexers"), TOKEN)
        self.people = People(
            self.machine, trace, stream(seed, "people"), self.wall, self.web
        )
        self.keeper = Keeper(
            self.people,
            trace,
            stream(seed, "keeper"),
            {person.name: person for person in planned.people},
            lambda key: look.rests(self._ledger(), key),
        )
        self.faults = Faults(self.machine, self.vectors, trace, stream(seed, "faults"))

    async def run(self) -> None:
        """To its end."""
        detach = supervision.telemetry.attach(self._crashed)
        try:
            await self._play()
        finally:
            detach()
        self.seconds = trio.current_time()
        self._audit()

    async def _play(self) -> None:
        if self.plan.works:
            self.work.prepare()
        async with AsyncExitStack() as stack:
            if self.plan.http or self.plan.browses:
                self.network.enable()
            if self.plan.browses:
                await stack.enter_async_context(serving_sites(self.sites))
            if self.plan.http:
                await stack.enter_async_context(
                    serving_models(self.models, self.vectors, self.plan.dialects)
                )
            await self._live()

    async def _live(self) -> None:
        async with trio.open_nursery() as nursery:
            scope = nursery.cancel_scope
            self.trace.enough = partial(self._give_up, scope)
            nursery.start_soon(self._watch, scope)
            nursery.start_soon(self.machine.run)
            await self.machine.wait_up()
            nursery.start_soon(self.people.answer_questions)
            nursery.start_soon(self.faults.happen, self.plan.faults)
            async with trio.open_nursery() as talking:
                for person in self.plan.people:
                    talking.start_soon(self.people.talk, person)
                talking.start_soon(self.keeper.keep, self.plan.orders)
                for texts in self.plan.indexers:
                    talking.start_soon(self.indexers.work, texts)
            await self._rest()
            left = self.machine.running
            self.found += [f"{title} runs, and nobody wants it" for title in left]
            self.machine.ended = True
            await self.machine.stop()
            nursery.cancel_scope.cancel()

    async def _watch(self, scope: trio.CancelScope) -> None:
        """Give up when nothing happens any more."""
        count = -1
        while count != self.trace.count:
            count = self.trace.count
            await trio.sleep(PATIENCE)
        self._give_up(scope, "it hangs")

    def _give_up(self, scope: trio.CancelScope, why: str) -> None:
        self.found.append(f"{why}: {', '.join(self._unfinished())}")
        scope.cancel()

    async def _rest(self) -> None:
        """Until no work is left, all deleted is erased, and the sessions sleep."""
        while self._is_busy():  # noqa: ASYNC110 -- a file tells nobody
            await trio.sleep(10.0)
        await trio.sleep(2 * self.plan.idle_seconds)

    def _is_busy(self) -> bool:
        ledger = self._ledger()
        left = look.open_work(ledger) or look.to_erase(ledger) or look.untold(ledger)
        return bool(left) or self.machine.embeds

    def _unfinished(self) -> list[str]:
        waiting = [
            marker for marker, turn in self.people.turns.items() if not turn.heard
        ]
        waiting += [each.marker for each in self.indexers.wanted if not each.ends]
        return waiting or ["nobody waits"]

    # --- looking

    def _ledger(self) -> sqlite3.Connection:
        if self._look is None:
            self._look = look.look(self.machine.ledger)
        return self._look

    def _crashed(self, event: supervision.Event) -> None:
        """A process may fail by what was done to it, never by a fault of its own."""
        if event.name != "supervision.process.crash":
            return
        reason = event.metadata["reason"]
        error = reason.error if isinstance(reason, supervision.Crash) else None
        if error is not None and not isinstance(error, EXPECTED):
            kind = type(error).__name__
            self.found.append(f"{event.metadata['name']} crashed: {kind}: {error}")

    def _toolbox(
        self, life: Life, outside: Outside
    ) -> Mapping[str, Tool | SessionTool]:
        acts = ("spawn", kin.TELL, kin.HAND_OVER) if self.plan.kin else ("spawn",)
        tools = self.effects.toolbox(life, acts)
        chosen = [*WORK * self.plan.works, *[FETCH] * self.plan.browses]
        return {**tools, **self.work.tools(life, outside, chosen)}

    def _killed(self) -> None:
        found = read(self._ledger()) if self.machine.ledger.exists() else Book()
        self.kills.append(Kill(trio.current_time(), found, len(self.effects.done)))

    def _model_begun(self, call: ModelCall) -> None:
        """A model is asked only for what the ledger has reserved."""
        if not call.person:
            # Begun anew, with what a sub-agent without a word has announced: nobody's
            # mark stands in it.
            return
        made = sum(each.person == call.person for each in self.models.calls)
        keys = [f"agent:main:{call.person}", *self.keeper.forks_of(call.person)]
        if call.is_sub_agent:
            keys = [look.session_of(self._ledger(), call.person)]
        if any(look.was_deleted(self._ledger(), key) for key in keys):
            return  # it was on its way when its conversation went, with all figures
        known = sum(look.reserved(self._ledger(), key) for key in keys)
        if known < made:
            self.found.append(f"call {call.number}: {made} made, {known} reserved")
        self._day_is_kept()
        cap = self.plan.session_tokens
        for key in keys:
            spent = look.spent(self._ledger(), key)
            if cap is not None and spent > cap:
                self.found.append(f"{key}: {spent} tokens are out, the cap is {cap}")

    def _vectors_begun(self, call: VectorCall) -> None:
        """They are asked for only after they are reserved."""
        made, known = call.number, look.calls_of(self._ledger(), MODEL)
        if known < made:
            self.found.append(f"vectors_reserved: {made} made, {known} reserved")
        self._day_is_kept()

    def _day_is_kept(self) -> None:
        cap = self.plan.day_tokens
        if cap is not None and (spent := look.most_in_a_day(self._ledger())) > cap:
            self.found.append(f"capped: {spent} tokens in a day, the cap is {cap}")
        worked, most = look.longest_day(self._ledger()), self.plan.day_seconds
        if most is not None and worked > most * 1_000:
            self.found.append(f"capped: {worked} ms in a day, the cap is {most} s")

    def _tool_begun(self, order: Order) -> None:
        """A tool begins only after its intent is in the ledger."""
        known = look.begun(self._ledger(), order.run_id, order.call_id)
        if known < order.attempt:
            self.found.append(f"{order.key}: attempt {order.attempt}, {known} intents")

    def _audit(self) -> None:
        people = self.people
        news = shortened = letters = handed = 0
        files = self.work.files() if self.plan.works else None
        if self.machine.ledger.exists():
            book = read(self._ledger())
            news = sum(row["source"] == "command" for row in book.inbox)
            summaries = {event["run_id"] for event in book.of_kind("compacted")}
            handed = sum(1 for _ in book.of_kind("handed-over"))
            begun = book.of_kind("tool-begun")
            letters = sum(event["body"]["tool"] == kin.TELL for event in begun)
            shortened = len(summaries.intersection(self.keeper.turns))
            seen = Seen(
                plan=self.plan,
                turns=people.turns,
                verdicts=people.verdicts,
                calls=self.models.calls,
                done=self.effects.done,
                kills=self.kills,
                deaths=self.faults.deaths,
                lives=self.machine.lives,
                jumps=self.faults.jumps,
                network_failed=self.network.failed,
                orders=self.keeper.done,
                deleted=self.keeper.deleting,
                files=files,
                programs=self.work.known,
                served=self.sites.served if self.plan.browses else None,
                reached=self.network.reached,
                vectors=self.vectors.calls,
                wanted=self.indexers.wanted,
                book=book,
            )
            self.found += violations(seen.known())
        self.found += [*people.surprises, *self.web.surprises, *self.models.wrong]
        if self._look is not None:
            self._look.close()
        self.figures = {
            "messages": len(people.turns),
            "model calls": len(self.models.calls),
            "effects": len(self.effects.done),
            "questions": len(people.verdicts),
            "sub-agents": len({c.person for c in self.models.calls if c.is_sub_agent}),
            "messages between sessions": letters,
            "conversations handed over": handed,
            "commands": sum(done.tool == "exec" for done in self.effects.done),
            "lines typed at them": sum(d.tool == "typed" for d in self.effects.done),
            "ends of commands told": news,
            "changes of files": 0 if files is None else len(self.work.marks(files)),
            "deaths of the node": len(self.kills),
            "faults": len(self.plan.faults),
            "orders carried out": len(self.keeper.done),
            "that were turns": sum(map(bool, self.keeper.turns)),
            "conversations made shorter by order": shortened,
            "connections to providers": self.network.links,
            "to the node": self.network.lines,
            "that failed": self.network.failed + self.network.lost,
            "answers over HTTP": self.web.answers,
            "pages asked for": len(self.sites.served),
            "calls for vectors": len(self.vectors.calls),
        }


def _mode(planned: Plan) -> ResetMode:
    if planned.daily is not None:
        return "daily"
    return "never" if planned.idle_minutes is None else "idle"


def dollars(millionths: int | None) -> float | None:
    """The same in dollars."""
    return None if millionths is None else millionths / 1_000_000


def configuration(planned: Plan, data: Path) -> Config:
    """The node's, as the plan wants it."""
    model = ModelInfo(
        context_window=planned.window,
        max_output=200,
        input_price=1.0,
        output_price=10.0,
    )
    # By its model a provider knows which agent asks.
    agents = kin.AGENTS if planned.kin else {"main": "m"}
    family = planned.kin or kin.FREE
    apis = planned.dialects if planned.http else ("demo", "demo")
    vectors = ModelInfo(context_window=100_000, max_output=0, input_price=0.5)
    a, b = (
        ProviderConfig(
            api=api,
            base_url=f"http://{host}/v1",
            api_key=Secret("a key"),
            models={**dict.fromkeys(agents.values(), model), MODEL: vectors},
            default_model="m",
        )
        for host, api in zip(HOSTS, apis, strict=True)
    )
    speaks = "a" if apis[0] == "openai" else "b"
    return Config(
        data=data,
        providers={"a": a, "b": b},
        agents={
            name: AgentConfig(
                model=f"a/{asks}",
                fallbacks=(f"b/{asks}",) * planned.fallback,
                hand_over=("*",),
                embeddings=f"{speaks}/{MODEL}" if planned.indexers else None,
                max_tokens=200,
                # What it is told of its workspace would fill a small window by itself.
                context="none" if planned.window < ROOMY else "workspace",
                # Files that a real disk would sync, in each of thousands of worlds.
                skip_bootstrap=True,
            )
            for name, asks in agents.items()
        },
        # A world has days, and nobody changes its configuration; its folders are looked
        # at with each turn anyway.
        config=ConfigFileConfig(poll_seconds=86_400.0),
        skills=SkillsConfig(load=SkillsLoadConfig(poll_seconds=86_400.0)),
        gateway=GatewayConfig(
            auth=AuthConfig(token=Secret(TOKEN)), heartbeat_seconds=HEARTBEAT
        ),
        sessions=SessionsConfig(
            idle_seconds=planned.idle_seconds,
            revive_limit=planned.revive_limit,
            max_awake=planned.max_awake,
            flush_ms=planned.flush_ms,
            snapshot_every=planned.snapshot_every,
            reset=ResetConfig(
                mode=_mode(planned),
                at_hour=planned.daily or 0,
                idle_minutes=planned.idle_minutes or 60.0,
            ),
            retention=RetentionConfig(every_seconds=planned.clean_up),
            keep_tokens=200,
        ),
        limits=LimitsConfig(
            day=BudgetConfig(
                tokens=planned.day_tokens,
                cost=dollars(family.day_cost),
                seconds=planned.day_seconds,
            ),
            session=BudgetConfig(
                tokens=planned.session_tokens,
                cost=dollars(family.session_cost),
                calls=family.session_calls,
            ),
            subagents=SubagentLimitsConfig(
                depth=family.depth,
                children=family.children,
                concurrent=family.concurrent,
                share=family.share,
            ),
            turn=TurnLimitsConfig(
                model_calls=planned.turn_calls,
                cost=dollars(family.turn_cost),
                wait_seconds=planned.wait_seconds,
                seconds=planned.turn_seconds or TurnLimitsConfig().seconds,
            ),
        ),
        tools=ToolsConfig(
            exec=ExecConfig(mode=planned.mode),
            web=WebConfig(max_bytes=MOST),
            sessions=SessionToolsConfig(
                visibility="all" if planned.kin else "tree", agent_to_agent=("*",)
            ),
        ),
        logging=LoggingConfig(level="error", format="text"),
    )
