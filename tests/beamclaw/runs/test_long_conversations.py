"""Conversations that never end, with models of every size: what is summed up, and paid."""

from collections.abc import Iterator
from itertools import count, pairwise
from random import Random

import attrs
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts import context, tokens
from beamclaw.contracts.context import Window
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    Body,
    Compacted,
    InboundTaken,
    RunOver,
    RunStarted,
    ToolEnded,
)
from beamclaw.contracts.messages import (
    Message,
    Text,
    ToolCall,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.transcript import Fact, Transcript, advance
from beamclaw.contracts.turns import TurnLimits
from beamclaw.runs.turn import decide
from beamclaw.runs.turn_steps import Ask, Compact, Finish, Step
from beamclaw.values import frozen

LIMITS = TurnLimits(
    model_calls=1_000,
    tool_calls=1_000,
    seconds=1e9,
    tokens=10**12,
    failures=6,
    repeats=1_000,
    begins=2,
    wait_seconds=60.0,
)
BEGUN = RunStarted(epoch=1, agent="main", definition="h")
OVER = RunOver(outcome="ok", stop_reason="stop")


@frozen(kw_only=True)
class World:
    """What a conversation is played with.

    Attributes:
        longest: Of what a person or a tool says, in tokens.
        counts: How many tokens a provider counts for one of ours.
        reads: What the model reads in truth, in our tokens; None: as it says.
    """

    window: Window
    longest: int
    counts: float = 1.0
    reads: int | None = None


@attrs.define
class Played:
    """A conversation, as a run would have it."""

    world: World
    random: Random
    state: Transcript = attrs.field(factory=Transcript)
    facts: list[Fact] = attrs.field(factory=list[Fact])
    asked: int = 0
    _numbers: Iterator[int] = attrs.field(factory=count)
    _wanted: str = ""
    _told: str = ""

    def play(self, turns: int) -> None:
        for _ in range(turns):
            self._wanted = self._text(self.world.longest)
            self._add(InboundTaken(messages=(said("user", self._wanted),), inbox_id=1))
            self._add(BEGUN)
            self._turn()
            self._add(OVER)

    @property
    def summaries(self) -> list[Compacted]:
        bodies = [fact.body for fact in self.facts]
        return [body for body in bodies if isinstance(body, Compacted)]

    @property
    def paid(self) -> int:
        return sum(each.method == "model" for each in self.summaries)

    def _add(self, *bodies: Body) -> None:
        facts = [Fact(body, "r") for body in bodies]
        self.facts += facts
        self.state = advance(self.state, facts)

    def _text(self, most: int) -> str:
        return f"<{next(self._numbers)}>" + "word " * (
            self.random.randint(0, most) // 2
        )

    def _next(self) -> Step:
        (step,) = decide(
            self.state,
            now=1.0,
            limits=LIMITS,
            window=self.world.window,
            system=None,
            tools={},
            running=set[str](),
            clearances={},
        )
        return step

    def _turn(self) -> None:
        shortened = 0
        while not isinstance(step := self._next(), Finish):
            if isinstance(step, Compact):
                shortened += 1
                assert shortened <= 2
                self._compact(step)
            elif isinstance(step, Ask):
                shortened = shortened if self._asks(step) else 0

    def _compact(self, step: Compact) -> None:
        state, words = self.state, ""
        if step.model:
            self._told = f"<{next(self._numbers)}>"
            words = self._told + " so" * self.random.randint(0, step.summary)
        summary = context.standing_for(state, step.cut, step.summary, words)
        assert tokens.of_text(summary) <= step.summary
        self._add(
            Compacted(
                first=state.covered + 1,
                last=state.seqs[step.cut - 1],
                summary=summary,
                method="model" if words else "trim",
                before=state.tokens,
            )
        )

    def _asks(self, step: Ask) -> bool:
        """Whether it is refused."""
        self.asked += 1
        told = "\n".join(message.text for message in step.messages)
        assert self._wanted in told or (
            self._wanted[:10] in told and "characters left out" in told
        )
        assert self._told in told
        world, state = self.world, self.state
        self._add(Asked(attempt=step.attempt, provider="p", model="m"))
        if world.reads is not None and state.tokens > world.reads:
            failed = AttemptFailed(
                attempt=step.attempt, kind="context_length", error="too long"
            )
            self._add(failed)
            return True
        if world.reads is None:
            self._fits()
        read = int(state.tokens * world.counts) + world.window.overhead
        calls = self.random.choice(((), (), ("a",), ("a", "b")))
        parts = tuple(ToolCall(f"{step.attempt}{name}", "f", "{}") for name in calls)
        self._add(
            Answered(
                attempt=step.attempt,
                message=Message("assistant", (Text(self._text(40)), *parts)),
                stop_reason="tool_calls" if parts else "stop",
                usage=Usage(read, 20, estimated=self.random.random() < 0.2),
            )
        )
        for part in parts:
            result = ToolResult(part.id, self._text(world.longest))
            self._add(ToolEnded(outcome="ok", result=result))
        return False

    def _fits(self) -> None:
        state, window = self.state, self.world.window
        last = next(
            (
                state.tokens - state.sums[at - 1]
                for at in range(len(state.messages) - 1, 0, -1)
                if state.seqs[at - 1] <= state.covered or _may_be_cut(state, at)
            ),
            state.tokens,
        )
        leaves = context.left(window.keep, window.room)
        alone = last + leaves.summary > window.room
        assert alone or context.size(state, window.overhead) <= window.room


def _may_be_cut(state: Transcript, at: int) -> bool:
    return state.messages[at].role != "tool"


@st.composite
def worlds(draw: st.DrawFn, share: int = 1) -> World:
    """Any; nothing that is said takes more than a part in *share* of the room."""
    size = draw(st.integers(4_096, 64_000))
    output = draw(st.integers(1, size // 4))
    overhead = draw(st.integers(0, size // 2))
    keep = draw(st.sampled_from((1, 300, 2_000, 20_000, 100_000)))
    window = Window(tokens=size, output=output, overhead=overhead, keep=keep)
    longest = draw(st.integers(0, max(1, window.room // share)))
    return World(window=window, longest=longest)


def check(played: Played) -> None:
    """What holds in every world."""
    covered = 0
    for each in played.summaries:
        assert each.first == covered + 1
        assert each.last >= each.first
        covered = each.last
    assert advance(Transcript(), played.facts) == played.state


def said_in(played: Played) -> int:
    """Tokens of all that was said, summaries left out."""
    facts = [fact for fact in played.facts if not isinstance(fact.body, Compacted)]
    return advance(Transcript(), facts).tokens


@given(worlds(), st.randoms(use_true_random=False))
def test_whatever_is_said_the_prompt_fits_and_summaries_are_few(world, random):
    played = Played(world, random)
    played.play(12)
    check(played)
    least = context.left(world.window.keep, world.window.room).summary
    assert played.paid * 2 * least <= said_in(played)


@given(worlds(share=12), st.randoms(use_true_random=False))
def test_the_next_summary_is_half_of_the_room_away(world, random):
    played = Played(world, random)
    played.play(25)
    check(played)
    assert len(played.summaries) * (world.window.room // 2) <= said_in(played)


@given(worlds(), st.randoms(use_true_random=False), st.floats(0.3, 4.0))
def test_a_provider_that_counts_otherwise_is_paid_no_more_summaries(
    world, random, counts
):
    played = Played(attrs.evolve(world, counts=counts), random)
    played.play(12)
    check(played)
    # A model writes for nothing below this, whoever counts.
    assert played.paid * 2 * 151 <= said_in(played)


@given(worlds(share=3), st.randoms(use_true_random=False), st.integers(500, 20_000))
def test_a_model_that_reads_less_than_is_known_is_paid_few_summaries(
    world, random, reads
):
    played = Played(attrs.evolve(world, reads=reads), random)
    played.play(12)
    check(played)
    assert played.paid * 2 * 151 <= said_in(played)
    assert played.asked <= 4 * said_in(played)


def test_a_small_window_is_not_paid_for_message_by_message():
    """What was seen with `keep_tokens` only just above the room: six for 14 messages."""
    for more in (-200, 0, 200, 10_000):
        window = Window(tokens=16_384, output=4_096, overhead=7_000, keep=0)
        window = attrs.evolve(window, keep=window.room + more)
        played = Played(World(window=window, longest=400), Random(7))
        played.play(40)
        check(played)
        assert {each.method for each in played.summaries} == {"model"}
        most = said_in(played) // (window.room // 2)
        assert 3 <= len(played.summaries) <= most
        for before, after in pairwise(played.summaries):
            assert after.last - before.last > 5
