"""The people of a world: what they send, send again, stop, answer, and get to see."""

import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

import attrs
import trio

import supervision
from beamclaw.bus import LocalBus
from beamclaw.contracts import names, waits
from beamclaw.contracts.follow import follow
from beamclaw.contracts.ledger_errors import (
    AnsweredAlready,
    LedgerError,
    NoSuchWait,
    Overloaded,
    StorageFailed,
)
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_rows import Verdict, WaitRow
from beamclaw.contracts.messages import said
from beamclaw.contracts.sessions import (
    Delta,
    Inbound,
    Reset,
    RunEnded,
    TopicValue,
    abort,
    submit,
)
from tests.simulation.model import marked
from tests.simulation.node import Life, Machine
from tests.simulation.plan import Person
from tests.simulation.trace import Trace
from tests.simulation.turns import Turn
from tests.simulation.web import Web

TENANT = "default"
# How often somebody sends a message until its end is told. In a world that ends it is a
# tenth of that at most, whatever is done to the node; more is for ever.
MOST_TRIES = 400


@attrs.define
class Verdicts:
    """What was answered to one question: tried, and counted as far as was told."""

    key: str
    tried: list[Verdict] = attrs.field(factory=list[Verdict])
    counted: list[Verdict] = attrs.field(factory=list[Verdict])


@attrs.define(eq=False)
class People:
    """Everybody, and what they know.

    Attributes:
        surprises: What no client should ever see.
    """

    machine: Machine
    trace: Trace
    random: random.Random
    wall: Callable[[], float]
    web: Web
    turns: dict[str, Turn] = attrs.field(factory=dict[str, Turn])
    verdicts: dict[str, Verdicts] = attrs.field(factory=dict[str, Verdicts])
    surprises: list[str] = attrs.field(factory=list[str])
    bus: LocalBus = attrs.field(factory=LocalBus)
    _sent: int = 0
    _finished: dict[str, trio.Event] = attrs.field(factory=dict[str, trio.Event])

    async def talk(self, person: Person) -> None:
        """Everything that *person* says, to the end of the last answer."""
        async with trio.open_nursery() as nursery:
            for say in person.says:
                await trio.sleep(say.pause)
                turn = Turn(say, person, trio.current_time())
                self.turns[say.marker] = turn
                acked, done = trio.Event(), trio.Event()
                nursery.start_soon(self._carry, turn, acked, done)
                await acked.wait()
                if say.abort is not None:
                    nursery.start_soon(self._stop, turn, say.abort)
                if say.waits:
                    await done.wait()
        self._finished.setdefault(person.name, trio.Event()).set()

    async def wait_finished(self, person: Person) -> None:
        """Until *person* has said everything, and has heard what came of it."""
        await self._finished.setdefault(person.name, trio.Event()).wait()

    # --- one message

    async def _carry(self, turn: Turn, acked: trio.Event, done: trio.Event) -> None:
        await self._to_its_end(turn, acked)
        done.set()
        if turn.say.again is not None:
            await trio.sleep(turn.say.again)
            await self._to_its_end(turn, acked)

    async def _to_its_end(self, turn: Turn, acked: trio.Event) -> None:
        """Send, and send again whenever the connection breaks, until the end is told."""
        count, tries = turn.heard, 0
        while turn.heard == count:
            if tries == MOST_TRIES:
                self.trace.give_up(
                    f"{turn.say.marker} was sent {tries} times for nothing"
                )
            tries += 1
            if turn.say.wire == "bus":
                await self.connected(partial(self._send, turn, acked))
            else:
                await self.web.ask(turn, acked)

    async def connected(self, do: Callable[[Life], Awaitable[None]]) -> None:
        """Do it on a connection to the node, for as long as that lasts."""
        life = await self.machine.wait_up()
        with life.line() as line:
            try:
                await do(life)
            except (supervision.CallFailed, StorageFailed) as error:
                self.trace.note("client", f"refused: {type(error).__name__}")
            except (Overloaded, LedgerError) as error:
                self.trace.note("client", f"refused: {type(error).__name__}: {error}")
            else:
                return
        seconds = self.random.choice((0.0, 0.02, 0.5, 10.0))
        if line.cancelled_caught:
            self.trace.note("client", f"cut, back in {seconds:g}")
        await trio.sleep(seconds)

    async def _send(self, turn: Turn, acked: trio.Event, life: Life) -> None:
        marker, key = turn.say.marker, turn.person.key
        topic = names.topic(TENANT, key)
        with self.bus.subscribe(topic) as subscription:
            self._sent += 1
            self.trace.note(turn.person.name, f"send {marker}")
            receipt = await self._submit(turn)
            self.trace.note(turn.person.name, f"ack {marker} {receipt.run_id}")
            turn.runs.append(receipt.run_id)
            if receipt.run_id != turn.runs[0]:
                self.surprises.append(f"{marker}: acknowledged as {turn.runs}")
            if turn.acked is None:
                turn.acked = trio.current_time()
            acked.set()
            following = follow(
                self.bus,
                TENANT,
                receipt.run_id,
                subscription,
                join=receipt.duplicate,
            )
            shown = ""
            async with aclosing(following) as values:
                async for value in values:
                    shown = self._see(turn, value, shown)

    async def _submit(self, turn: Turn) -> Receipt:
        marker = turn.say.marker
        inbound = Inbound(
            tenant=TENANT,
            source="test",
            account="account",
            conversation=turn.person.name,
            external_id=marker,
            session_key=turn.person.key,
            agent="main",
            messages=(said("user", "/new " * turn.say.fresh + marked(marker)),),
            run_id=f"{marker}/{self._sent}",
            queue=turn.say.queue,
        )
        return await submit(self.bus, inbound, at=self.wall())

    def _see(self, turn: Turn, value: TopicValue, shown: str) -> str:
        match value:
            case Delta(offset=offset, text=text):
                if offset != len(shown):
                    self.surprises.append(
                        f"{turn.say.marker}: text at {offset} after {len(shown)}"
                    )
                return shown + text
            case Reset(offset=offset):
                return shown[:offset]
            case RunEnded():
                who = turn.person.name
                self.trace.note(who, f"end {turn.say.marker} {value.outcome}")
                turn.ends.append(value)
                if turn.finished is None:
                    turn.finished = trio.current_time()
                turn.shown.append(shown)
            case _:
                pass
        return shown

    # --- stops

    async def _stop(self, turn: Turn, seconds: float) -> None:
        await trio.sleep(seconds)
        if turn.heard or not turn.runs:
            return
        turn.stopped = True
        self.trace.note(turn.person.name, f"stop {turn.say.marker}")
        await self.connected(partial(self._abort, turn))

    async def _abort(self, turn: Turn, life: Life) -> None:
        was = await abort(self.bus, TENANT, turn.person.key, turn.runs[0])
        turn.was_stopped = was
        self.trace.note(turn.person.name, f"stopped {turn.say.marker}: {was}")

    # --- questions

    async def answer_questions(self) -> None:
        """Somebody looks at the questions now and then, and answers most of them."""
        while True:
            await trio.sleep(self.random.choice((0.5, 5.0, 60.0, 2_000.0)))
            await self.connected(self._look)

    async def _look(self, life: Life) -> None:
        for row in await waits.read_waits(self.bus, TENANT):
            known = self.verdicts.setdefault(row.wait_id, Verdicts(row.session_key))
            if row.verdict is not None or self.random.random() < 0.2:
                continue
            verdict: Verdict = "allow" if self.random.random() < 0.7 else "deny"
            await self._answer(row, verdict, known)
            if self.random.random() < 0.2:
                await self._answer(row, "deny", known)

    async def _answer(self, row: WaitRow, verdict: Verdict, known: Verdicts) -> None:
        given = waits.Answer(wait_id=row.wait_id, verdict=verdict, by="boss")
        if verdict == "allow" and row.grant is not None:
            given = attrs.evolve(given, always=self.random.random() < 0.4)
        known.tried.append(verdict)
        try:
            await waits.answer(self.bus, TENANT, row.session_key, given)
        except (AnsweredAlready, NoSuchWait) as error:
            known.tried.pop()
            word = type(error).__name__
            self.trace.note("boss", f"{verdict} {row.wait_id}: {word}")
        else:
            known.counted.append(verdict)
            self.trace.note("boss", f"{verdict} {row.wait_id}")
