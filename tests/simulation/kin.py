"""Worlds whose agents have others work for them, write to them, and hand over to them.

Sub-agents two levels deep, some that know all that was said before; messages from one
session to another; conversations that another agent goes on with; and turns, sessions and
days that may cost so much and no more. All of it is drawn from a source of chance of its
own, behind everything else, so that a world without kin is what it was.
"""

import random
from collections.abc import Collection, Iterator

import attrs

from tests.simulation.plan import (
    ROOMY,
    TOOLS,
    Kin,
    Person,
    Plan,
    Say,
    Wish,
    plan,
    stream,
)

# Of the worlds that can have kin, so that about 15 of a hundred have.
SHARE = 0.3
TELL, HAND_OVER = "tell", "hand_over"
# The agents, and the model by which each is known where it asks.
AGENTS = {"main": "m", "second": "m2"}
LEVELS = 2
# What the others may, by the node's own defaults.
FREE = Kin(depth=5, children=5, concurrent=8, share=0.5)


def world(seed: int) -> Plan:
    """The whole world of *seed*."""
    return related(stream(seed, "kin"), plan(seed))


def related(rng: random.Random, planned: Plan) -> Plan:
    """The same world, whose agents have kin, if they can."""
    if rng.random() >= SHARE or not _may_have_kin(planned):
        return planned
    deleted = {order.person for order in planned.orders if order.verb == "delete"}
    family = _Family(rng, planned, deleted)
    return attrs.evolve(
        planned,
        people=tuple(map(family.of, planned.people)),
        turn_calls=rng.choice((5, 30, 100, 100)),
        kin=Kin(
            depth=rng.choice((1, 2, 5, 5)),
            children=rng.choice((1, 2, 5)),
            concurrent=rng.choice((2, 4, 8)),
            share=rng.choice((0.2, 0.5, 1.0)),
            turn_cost=rng.choice((None, None, 8_000, 30_000)),
            session_cost=rng.choice((None, None, 10_000, 40_000)),
            day_cost=rng.choice((None, None, None, 60_000)),
            session_calls=rng.choice((None, None, 4, 12)),
        ),
    )


def _may_have_kin(planned: Plan) -> bool:
    """Whether there is room: a turn that waits for another one needs a second place.

    In a summary stands what several have said, and nobody could tell whose it is.
    """
    summed = any(order.verb == "compact" for order in planned.orders)
    roomy = planned.window >= ROOMY and planned.session_tokens is None
    return roomy and planned.max_awake > 1 and not summed


@attrs.define
class _Family:
    """What is wished for in one world.

    Attributes:
        deleted: Persons whose sessions go; nobody works for them or writes to them.
        answering: Those who have been asked for an answer: one is told from another by
            whose it is.
    """

    rng: random.Random
    planned: Plan
    deleted: Collection[str]
    answering: set[str] = attrs.field(factory=set[str])

    def of(self, person: Person) -> Person:
        """The same person, whose wishes are more."""
        if person.name in self.deleted:
            return person
        says = (self._said(person, say) for say in person.says)
        return attrs.evolve(person, says=tuple(says))

    def _said(self, person: Person, say: Say) -> Say:
        if self.rng.random() < 0.4:
            return say
        rounds = list(say.rounds)
        place = f"{say.marker}.k"
        wishes = tuple(self._wishes(person, place))
        rounds.insert(self.rng.randint(0, len(rounds)), wishes)
        say = attrs.evolve(say, rounds=tuple(rounds))
        if self.rng.random() < 0.2:  # with all that is at work for it
            say = attrs.evolve(say, abort=self.rng.choice((0.4, 2.0, 5.0, 20.0)))
        return say

    def _wishes(self, person: Person, place: str) -> Iterator[Wish]:
        for number in range(self.rng.choice((1, 1, 2, 3))):
            here = f"{place}{number}"
            other = self.rng.choice([p.name for p in self.planned.people])
            kind = self.rng.random()
            if kind < 0.3 and other not in {person.name, *self.deleted}:
                yield self._letter(other, here)
            elif kind < 0.45 and not self.planned.works:  # each has its own files
                yield Wish(HAND_OVER, "", given={"agent": self.rng.choice([*AGENTS])})
            else:
                yield self._spawn(here, LEVELS)

    def _letter(self, to: str, place: str) -> Wish:
        """What is said in the session of another person."""
        marker = f"{to}.t{place.replace('.', '_')}"
        reply = to not in self.answering and self.rng.random() < 0.5
        if reply:
            self.answering.add(to)
        given = {"session_key": f"agent:main:{to}", "reply": reply}
        return Wish(TELL, "", self._task(marker, ()), given)

    def _spawn(self, place: str, levels: int) -> Wish:
        """A sub-agent, which may have some of its own."""
        rng, marker = self.rng, f"sub_{place.replace('.', '_')}"
        below = tuple(
            self._spawn(f"{marker}.{number}", levels - 1)
            for number in range(rng.choice((0, 1, 1, 2)) if levels > 1 else 0)
        )
        given: dict[str, object] = {}
        if rng.random() < 0.3:
            given["context"] = "fork"
        if rng.random() < 0.2:
            given["model_calls"] = rng.choice((1, 2, 5))
        if rng.random() < 0.2:
            given["cost"] = rng.choice((0.002, 0.01))
        mode = rng.choice(("wait", "wait", "announce"))
        return Wish("spawn", mode, self._task(marker, below), given)

    def _task(self, marker: str, first: tuple[Wish, ...]) -> Say:
        rng = self.rng
        rounds = [first] if first else []
        simple = range(rng.choice((0, 0, 1, 2)))
        rounds += [(Wish(rng.choice(TOOLS), "do it"),) for _ in simple]
        words = rng.choice((0, 1, 5))
        return Say(
            marker=marker, rounds=tuple(rounds), words=words, pause=0.0, queue=None
        )


def forked(planned: Plan) -> dict[str, set[str]]:
    """Sub-agents that know what was said before, and all whose words they know."""
    knows: dict[str, set[str]] = {}

    def look(say: Say, owner: str) -> None:
        for wish in (wish for calls in say.rounds for wish in calls):
            if wish.task is None:
                continue
            name = wish.task.marker.partition(".")[0]
            if wish.given is not None and wish.given.get("context") == "fork":
                knows[name] = {owner} | knows.get(owner, set())
            look(wish.task, name)

    for person in planned.people:
        for say in person.says:
            look(say, person.name)
    return knows
