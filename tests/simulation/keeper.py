"""Somebody who looks after whole sessions: begins them anew, rewinds, forks, deletes them."""

import random
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

import attrs
import orjson
import trio

from beamclaw.contracts import names
from beamclaw.contracts.follow import follow
from beamclaw.contracts.ledger_errors import LedgerError, SessionExists
from beamclaw.contracts.lifecycle import (
    DeleteSession,
    ForkSession,
    NoRest,
    NoSuchSession,
    PutAway,
    ResetSession,
    RewindSession,
    TurnInProgress,
    find,
    order,
)
from beamclaw.contracts.messages import ToolCall, said
from beamclaw.contracts.sessions import Inbound, RunEnded, submit
from tests.audit.known import Done
from tests.simulation.clients import TENANT, People
from tests.simulation.model import marked
from tests.simulation.node import Life
from tests.simulation.plan import Order, Person
from tests.simulation.trace import Trace

REFUSED = (NoRest, NoSuchSession, SessionExists, TurnInProgress)


@attrs.define(eq=False)
class Keeper:
    """Carries out the orders of a plan.

    Attributes:
        people: Whose sessions they are, by name.
        rests: The events of a session behind which it may go on.
        done: What was told to be done.
        turns: Runs of orders that are turns, as they ended; empty: there was no session.
        deleting: The sessions that were to be deleted, whether that was told or not.
    """

    everybody: People
    trace: Trace
    random: random.Random
    people: dict[str, Person]
    rests: Callable[[str], list[int]]
    done: list[Done] = attrs.field(factory=list[Done])
    turns: list[str] = attrs.field(factory=list[str])
    deleting: dict[str, str] = attrs.field(factory=dict[str, str])
    _deleted: set[str] = attrs.field(factory=set[str])
    _forks: int = 0
    _asked: int = 0

    async def keep(self, orders: tuple[Order, ...]) -> None:
        """All of them."""
        async with trio.open_nursery() as talking:
            for each in orders:
                await trio.sleep(each.seconds)
                person = self.people[each.person]
                if each.verb == "delete":
                    await self._until_deleted(person)
                    continue
                if each.verb in ("compact", "tool"):
                    await self._until_over(each, person)
                    continue
                count = len(self.done)
                await self.everybody.connected(partial(self._once, each, person.key))
                if each.say is not None and len(self.done) > count:
                    there = Person(each.person, (each.say,), self.done[-1].fork)
                    talking.start_soon(self.everybody.talk, there)

    async def _until_deleted(self, person: Person) -> None:
        await self.everybody.wait_finished(person)
        self.deleting[person.key] = person.name
        while person.key not in self._deleted:
            await self.everybody.connected(partial(self._delete, person.key))

    async def _until_over(self, each: Order, person: Person) -> None:
        """Have a turn that is an order, and hear what came of it."""
        self._asked += 1
        count = len(self.turns)
        ordered = self._inbound(each, person, f"{person.name}.o{self._asked}")
        while len(self.turns) == count:
            await self.everybody.connected(partial(self._hand_in, ordered))

    def _inbound(self, each: Order, person: Person, marker: str) -> Inbound:
        wish = each.wish
        inbound = Inbound(
            tenant=TENANT,
            source="compact",
            account="account",
            conversation=person.key,
            external_id=marker,
            session_key=person.key,
            agent="main",
            messages=(),
            run_id=f"{marker}/order",
            queue="followup",
            compacts=wish is None,
        )
        if wish is None:
            return inbound
        given = {"text": wish.text, "for": marker}
        return attrs.evolve(
            inbound,
            source="tools",
            messages=(said("user", f"a client calls {wish.tool}: {marked(marker)}"),),
            call=ToolCall(
                f"ordered_{self._asked}", wish.tool, orjson.dumps(given).decode()
            ),
        )

    async def _hand_in(self, inbound: Inbound, life: Life) -> None:
        del life
        bus, id_ = self.everybody.bus, inbound.external_id
        try:
            await find(bus, TENANT, inbound.session_key)
        except NoSuchSession:
            self.trace.note("keeper", f"{inbound.source} {id_}: NoSuchSession")
            self.turns.append("")
            return
        with bus.subscribe(names.topic(TENANT, inbound.session_key)) as subscription:
            self.trace.note("keeper", f"{inbound.source} {id_}")
            receipt = await submit(bus, inbound, at=self.everybody.wall())
            following = follow(
                bus, TENANT, receipt.run_id, subscription, join=receipt.duplicate
            )
            async with aclosing(following) as values:
                async for value in values:
                    if isinstance(value, RunEnded):
                        self.trace.note("keeper", f"end {id_} {value.outcome}")
                        self.turns.append(value.run_id)

    def forks_of(self, name: str) -> list[str]:
        """Copies of the session of *name*, as far as somebody was told of them."""
        key = f"agent:main:{name}"
        return [
            order.fork for order in self.done if order.fork and order.session == key
        ]

    async def _once(self, each: Order, key: str, life: Life) -> None:
        del life
        try:
            await self._carry_out(each, key)
        except REFUSED as error:
            word = type(error).__name__
            self.trace.note("keeper", f"{each.verb} {key}: {word}")
        else:
            self.trace.note("keeper", f"{each.verb} {key}")

    async def _carry_out(self, each: Order, key: str) -> None:
        ask = partial(order, self.everybody.bus, TENANT, key)
        match each.verb:
            case "reset":
                await ask(ResetSession())
            case "rewind":
                to = self.random.choice([0, *self.rests(key)])
                if await ask(RewindSession(to)) != to:  # else that is its end
                    self.done.append(Done("rewind", key, to=to))
            case "fork":
                self._forks += 1
                fork = f"{key}:fork{self._forks}"
                await ask(ForkSession(key=fork))
                self.done.append(Done("fork", key, fork=fork))
            case _:
                await ask(PutAway(each.verb == "archive"))

    async def _delete(self, key: str, life: Life) -> None:
        del life
        try:
            await order(self.everybody.bus, TENANT, key, DeleteSession())
        except NoSuchSession:
            pass  # the answer to the one before was lost
        except TurnInProgress as error:
            raise LedgerError(str(error)) from None  # ask again
        self._deleted.add(key)
        self.trace.note("keeper", f"delete {key}")
