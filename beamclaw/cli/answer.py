"""One answer as it arrives, and what to show of it: decisions without I/O."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from beamclaw.values import frozen

# Seconds without anything new, before it is said what is waited for.
PATIENCE: Final = 1.0
_PHASES: Final[Mapping[str, str]] = {
    "queue": "an earlier message of this conversation",
    "files": "what the agent is told",
    "permit": "leave to call the provider",
    "model": "the model",
    "tools": "tools",
    "person": "a person's answer",
    "agents": "sub-agents",
}

Event = Mapping[str, Any]
Kind = Literal["text", "again", "question", "end"]


@frozen
class Show:
    """What to do now: write text, begin anew, look at what is asked, or end."""

    kind: Kind
    text: str = ""


@attrs.define
class Answer:
    """What is known of one turn, over as many connections as it takes.

    Attributes:
        run_id: Of the turn, once it is accepted; with ``session_key``.
        text: What is shown of the turn.
        ended: The last event, when it is there.
        questions: What it has asked persons, by id.
        verdicts: What persons have answered to its questions, and who.
    """

    now: float
    run_id: str | None = None
    session_key: str | None = None
    text: str = ""
    ended: Event | None = None
    questions: dict[str, str] = attrs.field(factory=dict[str, str])
    verdicts: dict[str, tuple[str, str]] = attrs.field(
        factory=dict[str, tuple[str, str]]
    )
    _attempt: int = 0
    _waiting: Event | None = None
    _waiting_since: float = attrs.field(init=False)
    _until: float | None = None

    def __attrs_post_init__(self) -> None:
        self._waiting_since = self.now

    def take(self, event: Event, now: float) -> list[Show]:
        """What to show for *event*, which may be a repeat."""
        match event.get("type"):
            case "Accepted":
                self.run_id, self.session_key = event["run_id"], event["session_key"]
            case "Waiting":
                self._wait(event, now)
            case "Reset":
                return self._turn_to(event["attempt"], event.get("offset", 0))
            case "Delta":
                return self._delta(event, now)
            case "Question":
                return self._question(event)
            case "RunEnded":
                self.ended = event
                return [*self._rest(event["text"]), Show("end")]
            case _:  # a later version tells more than we know
                pass
        return []

    @property
    def phase(self) -> str:
        """What the turn waits for; empty: it goes on."""
        return "" if self._waiting is None else self._waiting["phase"]

    def _question(self, event: Event) -> list[Show]:
        if event["verdict"] is None:
            self.questions[event["wait_id"]] = event["question"]
        else:
            self.verdicts[event["wait_id"]] = event["verdict"], event["by"]
        return [Show("question")]

    def waiting(self, now: float) -> str:
        """What is waited for, in words; empty while there is nothing to say."""
        if self.ended is not None or now - self._waiting_since < PATIENCE:
            return ""
        seconds = int(now - self._waiting_since)
        if self._waiting is None:
            return f"waiting for {'more' if self.text else 'the node'} ({seconds} s)"
        detail = f": {self._waiting['detail']}" if self._waiting.get("detail") else ""
        if self._waiting["phase"] == "retry":
            left = max(0, round((self._until or now) - now))
            return f"trying again in {left} s{detail}"
        words = _PHASES.get(self._waiting["phase"], self._waiting["phase"])
        left = "" if self._until is None else f", at most {round(self._until - now)} s"
        return f"waiting for {words}{detail} ({seconds} s{left})"

    def _wait(self, event: Event, now: float) -> None:
        if self._waiting is None or self._waiting["phase"] != event["phase"]:
            self._waiting_since = min(self._waiting_since, now)
        self._waiting = event
        seconds = event.get("seconds")
        self._until = None if seconds is None else now + seconds

    def _delta(self, event: Event, now: float) -> list[Show]:
        if event["attempt"] < self._attempt:
            return []
        # A gap cannot come: the node looks again before it passes one on.
        offset, text = event["offset"], event["text"]
        before: list[Show] = []
        if event["attempt"] > self._attempt:
            have = self.text[offset : offset + len(text)]
            agreed = len(have) if text.startswith(have) else 0
            before = self._turn_to(event["attempt"], offset + agreed)
        fresh = text[max(0, len(self.text) - offset) :]
        self.text += fresh
        self._waiting, self._until, self._waiting_since = None, None, now
        return [*before, Show("text", fresh)] if fresh else before

    def _turn_to(self, attempt: int, offset: int) -> list[Show]:
        """Model call *attempt* begins; what was shown behind *offset* is void."""
        if attempt <= self._attempt:
            return []
        self._attempt = attempt
        shown, self.text = self.text, self.text[:offset]
        if len(shown) <= offset:
            return []
        kept = [Show("text", self.text)] if self.text else []
        return [Show("again"), *kept]

    def _rest(self, whole: str) -> list[Show]:
        """The whole answer is known: what is still missing, or all of it anew."""
        shown, self.text = self.text, whole
        if whole.startswith(shown):
            rest = whole[len(shown) :]
            return [Show("text", rest)] if rest else []
        return [Show("again"), Show("text", whole)]
