"""A run, as the session that orders it knows it (both live in one tenant)."""

from collections.abc import Awaitable, Callable

import attrs

from beamclaw.contracts.clock import Clock
from beamclaw.contracts.context import Share
from beamclaw.contracts.ledger import Claim
from beamclaw.contracts.ledger_rows import ChildRow, WaitRow
from beamclaw.contracts.open_turn import told
from beamclaw.contracts.sessions import Inbound, RunEnded, Waiting
from beamclaw.contracts.snapshots import Kept
from beamclaw.contracts.transcript import Transcript
from beamclaw.values import frozen

ABORTED = "aborted"  # the term of the exit signal that stops a run for a person


@attrs.define
class Progress:
    """What a run has so far: written by the run, read by whoever looks at it.

    The registry value of the run's name. It outlives the run's process in the hands of
    its session, so that a stopped turn keeps its text.

    Attributes:
        transcript: After the run's last commit.
        attempt: The model call in progress, or the last one.
        base: The turn's text before that call.
        pieces: The text of that call.
        received: Tokens that all can be that the call has given, its thoughts included.
        unpublished: What has to be published yet, up to the end of ``text``; of which
            ``published`` characters have been on the topic.
        ended: Set in the moment the end is committed.
        share: How the window of the model that was asked last is used.
        kept: Up to where the transcript is in a snapshot; of the session.
        by: What carries the turn out; a session that begins anew finds it here.
    """

    run_id: str
    topic: str
    transcript: Transcript
    attempt: int = 0
    base: str = ""
    pieces: list[str] = attrs.field(factory=list[str])
    received: int = 0
    unpublished: list[str] = attrs.field(factory=list[str])
    unpublished_length: int = 0
    published: int = 0
    waiting: Waiting | None = None
    ended: RunEnded | None = None
    share: Share | None = None
    kept: Kept = attrs.field(factory=Kept)
    by: "RunTurn | None" = attrs.field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The turn's text so far."""
        return told(self.base, "".join(self.pieces))

    def heard(self, attempt: int) -> int | None:
        """Tokens that can have come of the model call *attempt*.

        None: of that the run knows nothing. A death has cut it, and this is a successor
        that has not taken over yet.
        """
        return self.received if attempt == self.attempt else None


@frozen(kw_only=True)
class RunOrder:
    """What a session wants done.

    Attributes:
        claim: With the epoch that the run holds already (a first run), or is to claim
            by its first commit (*successor*).
        since: What the clocks showed when the session began the turn: its time runs from
            there, also while the run is not there yet. None: of a successor.
        definition: The agent definition as JSON, where the session has it at hand;
            else it is read from the ledger.
        answers: What persons have answered that is not in the journal yet.
        results: What turns have come to that it waits for, the same.
    """

    tenant: str
    session_key: str
    claim: Claim
    progress: Progress
    successor: bool
    since: Clock | None = None
    definition: bytes | None = None
    answers: tuple[WaitRow, ...] = ()
    results: tuple[ChildRow, ...] = ()


@frozen
class Steer:
    """To a run, from its session: take this message before the model is asked again."""

    inbox_id: int
    inbound: Inbound


@frozen
class ChildOver:
    """To a run, from its session: a turn that it may wait for is over."""

    row: ChildRow


@frozen
class Steered:
    """Cast to a session by its run: these messages are part of the journal."""

    inbox_ids: tuple[int, ...]


# Carries a turn out; a plain process, ends when the turn's end is committed.
RunTurn = Callable[[RunOrder], Awaitable[None]]
