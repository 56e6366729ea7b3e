"""What was seen in a world, as the auditor takes it.

Everything in here is from persons, providers, tools and whoever does the damage. What a
turn may end with is said here, too: only the world knows what was done to it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import attrs

from tests.audit.book import Book, mark
from tests.audit.known import (
    Call,
    Cap,
    Effect,
    End,
    Kill,
    Known,
    Program,
    Sent,
    Served,
    Verdict,
    Wanted,
)
from tests.audit.known import Done as Ordered
from tests.simulation.clients import Verdicts
from tests.simulation.kin import AGENTS
from tests.simulation.model import ModelCall, markers
from tests.simulation.plan import Plan
from tests.simulation.tools import Done
from tests.simulation.turns import Turn
from tests.simulation.vectors import VectorCall

DAY = 86_400.0
# Who asks, by the model that is asked for.
_AGENTS = {model: agent for agent, model in AGENTS.items()}
# What who wants vectors may be told: of a node to which things are done, ...
_OF_NODE = ("draining", "insufficient_storage", "overloaded", "server", "unavailable")
# ... and of a provider that fails, or the way to it.
_OF_PROVIDER = (
    *("auth", "invalid", "network", "provider_overloaded", "quota"),
    *("rate_limit_exceeded", "server"),
)


@attrs.frozen(kw_only=True)
class Seen:
    """All that was seen in a world.

    Attributes:
        deleted: The keys of sessions that were to be deleted, and whose they were: what
            was in there is nobody's any more, and is not looked at.
        files: What is in those that agents work on, by their paths; None: they have none.
        programs: Their commands, by the marks in their lines.
    """

    plan: Plan
    turns: Mapping[str, Turn]
    verdicts: Mapping[str, Verdicts]
    calls: Sequence[ModelCall]
    done: Sequence[Done]
    kills: Sequence[Kill]
    deaths: int
    lives: int
    jumps: int
    network_failed: int
    orders: Sequence[Ordered]
    deleted: Mapping[str, str]
    book: Book
    files: Mapping[str, str] | None
    programs: Mapping[str, Program]
    served: Sequence[Served] | None
    reached: Sequence[str]
    vectors: Sequence[VectorCall]
    wanted: Sequence[Wanted]

    def known(self) -> Known:
        """In the auditor's words."""
        gone, nobody = self.deleted.keys(), set(self.deleted.values())
        marks = {m for m, turn in self.turns.items() if turn.person.name in nobody}
        effects = [done for done in self.done if done.person not in nobody]
        return Known(
            book=self.book.without(gone) if gone else self.book,
            sent={m: self._sent(t) for m, t in self.turns.items() if m not in marks},
            kills=[
                Kill(k.at, k.book.without(gone), sum(d.at < k.at for d in effects))
                for k in self.kills
            ],
            calls=[_call(call) for call in self.calls if call.person not in nobody],
            effects=[
                Effect(tool=d.tool, key=d.key, text=d.text, script=d.script, what="it")
                for d in effects
            ],
            verdicts=[
                Verdict(wait_id=id_, verdict=verdict, by="boss", counts=counts)
                for id_, known in self.verdicts.items()
                if known.key not in gone
                for verdict, counts in _said(known)
            ],
            caps=tuple(self._caps()),
            family=tuple(self._family()),
            cuts=self.deaths + self.lives - 1,
            terse=True,
            unwanted=set(gone),
            orders=[order for order in self.orders if self._stays(order)],
            files=self.files,
            programs=self.programs,
            served=self._served(nobody),
            reached=[*self.reached],
            embeddings=[call.known() for call in self.vectors],
            wanted=[
                attrs.evolve(each, codes_explained=frozenset(self._refusals()))
                for each in self.wanted
            ],
        )

    def _served(self, nobody: Collection[str]) -> list[Served] | None:
        if self.served is None:
            return None
        return [e for e in self.served if e.place.partition(".")[0] not in nobody]

    def _caps(self) -> Iterator[Cap]:
        if self.plan.session_tokens is not None:
            yield Cap("session", "tokens", self.plan.session_tokens)
        if self.plan.day_tokens is not None:
            yield Cap("tenant", "tokens", self.plan.day_tokens)
        if self.plan.day_seconds is not None:
            yield Cap("tenant", "ms", round(self.plan.day_seconds * 1_000))
        family = self.plan.kin
        if family is not None and family.session_cost is not None:
            yield Cap("session", "cost", family.session_cost)
        if family is not None and family.session_calls is not None:
            yield Cap("session", "calls", family.session_calls)
        if family is not None and family.day_cost is not None:
            yield Cap("tenant", "cost", family.day_cost)

    def _family(self) -> Iterator[Cap]:
        """What a turn may use, with all who work for it, and how many may."""
        yield Cap("turn", "calls", self.plan.turn_calls)
        family = self.plan.kin
        if family is None:
            return
        if family.turn_cost is not None:
            yield Cap("turn", "cost", family.turn_cost)
        yield Cap("children", "session", family.children)
        yield Cap("children", "tenant", family.concurrent)
        yield Cap("children", "depth", family.depth)

    def _refusals(self) -> Iterator[str]:
        """What a request for vectors may be told, by what was done in this world."""
        if any(self._caps()):
            yield "budget_reached"
        if self.plan.faults:
            yield from _OF_NODE
        if self._models_failed() or any(call.error for call in self.vectors):
            yield from _OF_PROVIDER

    def _models_failed(self) -> bool:
        """Whether a provider, or the way to it, has failed; calls of all kinds hear of it."""
        return any(call.error for call in self.calls) or self.network_failed > 0

    def _sent(self, turn: Turn) -> Sent:
        marker = turn.say.marker
        return Sent(
            marker=marker,
            session=turn.person.key,
            at=turn.sent,
            acked=turn.acked,
            finished=turn.finished,
            ends=[
                End(end.outcome, end.text, shown)
                for end, shown in zip(turn.ends, turn.shown, strict=True)
            ],
            outcomes=tuple(self._explained(turn)),
            texts=turn.texts,
            errors=turn.errors,
            run_id=turn.runs[0] if turn.runs else None,
            stopped=turn.was_stopped,
            fresh=turn.say.fresh or self._is_next_day(turn),
        )

    def _is_next_day(self, turn: Turn) -> bool:
        """Whether all that was said before was over for a day when it was sent."""
        if self.plan.daily is None or self.jumps or turn.person.fork:
            return False
        if any(
            row["key"] == turn.person.key
            and row["source"] in ("command", *["agent"] * bool(self.plan.kin))
            for row in self.book.inbox
        ):
            return (
                False  # what it was told of its commands, or by agents, was said later
            )
        # Whoever hears of a failure has heard of nothing before that.
        kept = turn.finished if turn.acked is None else turn.acked
        before = [
            other
            for other in self.turns.values()
            if other is not turn
            and other.person.key == turn.person.key
            # Also those that overtook it before it was taken.
            and other.sent <= (turn.sent if kept is None else kept)
        ]
        return bool(before) and all(
            other.finished is not None and other.finished < turn.sent - DAY
            for other in before
        )

    def _stays(self, order: Ordered) -> bool:
        """Whether it can be looked up: not what was done to what is deleted since."""
        return order.verb != "rewind" or order.session not in self.deleted

    def _explained(self, turn: Turn) -> Iterator[str]:
        """The ends that what was done to a turn explains."""
        yield "ok"
        run = self.book.run_of(turn.say.marker)
        together = [t for m, t in self.turns.items() if self.book.run_of(m) is run]
        modes = {say.queue for say in turn.person.says}
        if any(each.stopped for each in [turn, *together]) or "interrupt" in modes:
            yield "aborted"
        few = self.plan.turn_calls < 100 or self.plan.turn_seconds is not None
        # Who gives others a share of it may have none left.
        few = few or self.plan.kin is not None
        if any(self._caps()) or few:
            yield "limited"
        if self._models_failed() or any(call.error for call in self.vectors):
            yield "error"
        if self.deaths + len(self.kills) >= self.plan.revive_limit:
            yield "quarantined"


def _call(call: ModelCall) -> Call:
    """A summary is asked for by a turn that is not in it: it is of the first one there."""
    spoken = [m["content"] for m in call.messages if m["role"] == "user"]
    marks = [found for text in spoken if (found := mark(text))]
    first = next((m for text in spoken for m in markers(text)), "")
    return Call(
        marker=first if call.is_summary or not marks else marks[-1],
        at=call.at,
        model=call.provider,
        summary=call.is_summary,
        billed=(call.billed[0], call.billed[1]),
        whole=call.whole,
        messages=() if call.is_summary else call.messages,
        said=call.said,
        agent=_AGENTS.get(call.model, ""),
    )


def _said(known: Verdicts) -> Iterator[tuple[str, bool]]:
    """What was answered, in order; the same word twice counts as often as was told."""
    left = list(known.counted)
    for verdict in known.tried:
        counts = verdict in left
        if counts:
            left.remove(verdict)
        yield verdict, counts
