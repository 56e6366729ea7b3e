"""Persons in the middle of a turn: questions to them, and what they say meanwhile."""

from functools import partial

import attrs

import supervision
from beamclaw.contracts import names, waits
from beamclaw.contracts.intake import taken
from beamclaw.contracts.journal import InboundTaken, WaitBegun, WaitOver
from beamclaw.contracts.ledger_errors import AnsweredAlready, NotWaiting
from beamclaw.contracts.ledger_ops import CloseWait, JoinRun, OpenWait, Take
from beamclaw.contracts.ledger_rows import WaitRow
from beamclaw.contracts.open_turn import Wait
from beamclaw.contracts.points import point
from beamclaw.contracts.runs import Steer, Steered
from beamclaw.contracts.sessions import Joined, Question
from beamclaw.runs.orders import call_key
from beamclaw.runs.record import Record
from beamclaw.runs.turn_steps import AskPerson, Expire
from beamclaw.runs.wiring import Wiring
from beamclaw.values import frozen


@frozen
class TakeMessages:
    """A step of a run: take what persons have said meanwhile."""


class Persons:
    """See the module. Belongs to one run, which hands it the messages about persons."""

    def __init__(self, wiring: Wiring, record: Record, agent: str) -> None:
        self._wiring = wiring
        self._record = record
        self._agent = agent
        # Messages that came meanwhile, and the ids of all that ever did.
        self._came: list[Steer] = []
        self._known: set[int] = set()

    # --- what they say meanwhile

    def hear(self, steer: Steer) -> None:
        """A message for this turn; taken before the model is asked again."""
        if steer.inbox_id not in self._known:
            self._known.add(steer.inbox_id)
            self._came.append(steer)

    @property
    def came(self) -> bool:
        """Whether there are messages to be taken."""
        return bool(self._came)

    async def take_messages(self) -> None:
        """Take the messages that came, in a commit of their own.

        Somebody may have stopped one meanwhile: that one is left out.
        """
        record = self._record
        while self._came:
            record.mark()
            self._draft_messages()
            try:
                with point("run.take-messages"):
                    await record.commit()
            except NotWaiting as gone:
                record.back()
                self._came = [s for s in self._came if s.inbox_id != gone.inbox_id]
            else:
                self._came.clear()

    def _draft_messages(self) -> None:
        record = self._record
        for steer in self._came:
            inbound = steer.inbound
            record.add(
                InboundTaken(
                    messages=taken(inbound, fresh=False),
                    inbox_id=steer.inbox_id,
                    child=inbound.child,
                    tainted=inbound.tainted,
                    joins=inbound.run_id,
                ),
                Take((steer.inbox_id,)),
                JoinRun(inbound.run_id, record.id),
                inbound=inbound,
            )
            record.tell(Joined(inbound.run_id, record.id))
        said = Steered(tuple(steer.inbox_id for steer in self._came))
        record.afterwards(partial(self._tell_session, said))

    def _tell_session(self, said: Steered) -> None:
        session = names.session(self._wiring.tenant, self._record.key)
        with point("run.steered"):
            supervision.cast(session, said)

    # --- questions

    def draft_question(self, step: AskPerson) -> None:
        """Draft the question whether a call may be carried out."""
        record, asked, about = self._record, step.call.asked, step.about
        wait_id = call_key(record.id, asked.id)
        question = about.question
        at = record.now()
        expires_at = at + self._wiring.limits.wait_seconds
        record.add(
            WaitBegun(
                wait_id=wait_id,
                call_id=asked.id,
                question=question,
                expires_at=expires_at,
                digest=about.digest,
                details=about.details,
            ),
            OpenWait(
                wait_id=wait_id,
                run_id=record.id,
                question=question,
                at=at,
                expires_at=expires_at,
                agent=self._agent,
                digest=about.digest,
                details=about.details,
                grant=about.grant,
            ),
        )
        told = Question(record.id, wait_id, question, expires_at)
        always = about.grant is not None
        record.tell(attrs.evolve(told, details=about.details, always=always))
        record.afterwards(partial(self._tell_asked, asked.name, wait_id))
        record.afterwards(self._tell_changed)

    def _tell_asked(self, tool: str, wait_id: str) -> None:
        supervision.emit(
            "beamclaw.approval.asked",
            {},
            {
                "tenant": self._wiring.tenant,
                "session": self._record.key,
                "wait": wait_id,
                "tool": tool,
            },
        )

    def _tell_over(self, over: WaitOver) -> None:
        supervision.emit(
            "beamclaw.approval.over",
            {},
            {
                "tenant": self._wiring.tenant,
                "session": self._record.key,
                "wait": over.wait_id,
                "verdict": over.verdict,
                "by": over.by,
                "always": over.always,
            },
        )

    def hear_answer(self, row: WaitRow) -> None:
        """Draft a person's answer, which is in the ledger already."""
        for wait in self._record.turn.open_waits:
            if wait.id == row.wait_id and row.verdict is not None:
                over = WaitOver(
                    wait_id=wait.id,
                    verdict=row.verdict,
                    by=row.by or "",
                    text=row.text,
                    always=row.always,
                )
                self._add(over, wait, CloseWait(wait.id))

    async def expire(self, step: Expire) -> None:
        """Nobody has answered in time; or somebody has, in this very moment."""
        wait, record = step.wait, self._record
        record.mark()
        over = WaitOver(wait_id=wait.id, verdict="expired")
        self._add(over, wait, CloseWait(wait.id, unanswered=True))
        try:
            with point("run.expire"):
                await record.commit()
        except AnsweredAlready:
            record.back()
            # It is on its way to us.
            answered = await supervision.receive(waits.Answered)
            self.hear_answer(answered.row)

    def _add(self, over: WaitOver, wait: Wait, close: CloseWait) -> None:
        self._record.add(over, close)
        question = Question(
            self._record.id,
            wait.id,
            "",
            wait.expires_at,
            over.verdict,
            over.by,
            always=over.always,
        )
        self._record.tell(question)
        self._record.afterwards(partial(self._tell_over, over))
        self._record.afterwards(self._tell_changed)

    def _tell_changed(self) -> None:
        waits.tell_changed(self._wiring.bus, self._wiring.tenant)
