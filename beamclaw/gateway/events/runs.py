"""One turn as clients see it: lifecycle, words, tools, its end. Pure.

Everything told of a run is numbered by the run's own ``seq``: a client that comes back
finds its place by that, and by the ``messageSeq`` of what is in the journal.
"""

from collections.abc import Iterator
from typing import Any, Final

import attrs

from beamclaw.contracts import keys
from beamclaw.contracts.follow import Shown
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    Body,
    InboundTaken,
    RunStarted,
    ToolBegun,
    ToolEnded,
)
from beamclaw.contracts.messages import ToolCall
from beamclaw.contracts.sessions import Delta, Joined, Reset, RunEnded, TopicValue
from beamclaw.gateway.events import messages
from beamclaw.gateway.events.messages import arguments, text_message, usage
from beamclaw.values import frozen

Payload = dict[str, Any]

# Which of our kinds of failures a client knows by name.
_ERRORS: Final = {
    "refusal": "refusal",
    "timeout": "timeout",
    "rate_limit": "rate_limit",
    "overloaded": "rate_limit",
    "context_length": "context_length",
}


@frozen
class Told:
    """Something to tell.

    Attributes:
        event: Its name.
        lossy: A client that reads slowly may miss it: the next one says it again.
        needs: What a client must have said it can take.
    """

    event: str
    payload: Payload
    lossy: bool = False
    needs: str | None = None


@attrs.define
class Turn:
    """A run in progress.

    Attributes:
        seq: Of the last thing that was told of it.
        told: Characters of its text that were told.
        stale: Text that was told is void.
    """

    run_id: str
    session_key: str
    agent: str = ""
    started_ms: int | None = None
    seq: int = 0
    told: int = 0
    stale: bool = False
    asked: bool = False
    ended: bool = False
    shown: Shown = attrs.field(init=False)
    calls: dict[str, ToolCall] = attrs.field(factory=dict[str, ToolCall], init=False)
    begun_ms: dict[str, int] = attrs.field(factory=dict[str, int], init=False)
    names: dict[str, str] = attrs.field(factory=dict[str, str], init=False)

    def __attrs_post_init__(self) -> None:
        self.shown = Shown(self.run_id)
        self.agent = self.agent or agent_of(self.session_key)

    # --- what is written down

    def written(self, body: Body, seq: int, at: float, now_ms: int) -> Iterator[Told]:
        """What *body*, event *seq* of the journal, is to clients."""
        for row in messages.shown(body, seq, at, self.run_id, self.names):
            yield self.message(row, seq)
        match body:
            case RunStarted() if body.epoch == 1:
                self.agent = body.agent
                self.started_ms = now_ms
                yield self._agent("lifecycle", _started(now_ms), now_ms)
            case Asked() if body.purpose == "answer":
                model = {
                    "phase": "model",
                    "provider": body.provider,
                    "model": body.model,
                }
                yield self._agent("lifecycle", model, now_ms)
                if not self.asked:
                    self.asked = True
                    yield self._status("starting_model")
            case Answered():
                self._remember(body)
                tokens = {"outputTokens": body.usage.output}
                yield self._agent("usage", tokens, now_ms, lossy=True)
            case ToolBegun():
                yield from self._tool_begun(body, now_ms)
            case ToolEnded():
                yield from self._tool_ended(body, now_ms)
            case InboundTaken():
                yield self._status("preparing_context")
            case _:
                pass

    def _remember(self, body: Answered) -> None:
        for part in body.message.parts:
            if isinstance(part, ToolCall):
                self.calls[part.id] = part

    def _tool_begun(self, body: ToolBegun, now_ms: int) -> Iterator[Told]:
        self.begun_ms[body.call_id] = now_ms
        call = self.calls.get(body.call_id)
        args: Any = None if call is None else arguments(call.arguments)
        start = {"phase": "start", "status": "running", "startedAt": now_ms}
        yield self._agent("item", _item(body.call_id, body.tool) | start, now_ms)
        data = {"phase": "start", "name": body.tool, "toolCallId": body.call_id}
        yield self._agent("tool", data | {"args": args}, now_ms, needs="tool-events")

    def _tool_ended(self, body: ToolEnded, now_ms: int) -> Iterator[Told]:
        result = body.result
        call = self.calls.get(result.id)
        name = "" if call is None else call.name
        end = {
            "phase": "end",
            "status": "failed" if result.is_error else "completed",
            "startedAt": self.begun_ms.pop(result.id, now_ms),
            "endedAt": now_ms,
        }
        yield self._agent("item", _item(result.id, name) | end, now_ms)
        data = {
            "phase": "result",
            "name": name,
            "toolCallId": result.id,
            "isError": result.is_error,
            "result": {"content": [{"type": "text", "text": result.text}]},
            "meta": {"outcome": body.outcome},
        }
        yield self._agent("tool", data, now_ms, needs="tool-events")

    def message(self, row: Payload, seq: int) -> Told:
        """A message that stands in the journal, at event *seq*."""
        payload = {
            "sessionKey": self.session_key,
            "agentId": self.agent,
            "message": row,
            "messageId": row["__openclaw"]["id"],
            "messageSeq": seq,
            "runId": self.run_id,
        }
        return Told("session.message", payload)

    def final(self, row: Payload) -> Told:
        """*row* was said, and nothing more comes."""
        return self._chat({"state": "final", "message": row})

    # --- what is said meanwhile

    def sees(self, value: TopicValue, now_ms: int) -> tuple[Told, ...] | None:
        """What *value* is to clients; None: text is missing, the run must be looked at.

        Words wait for :meth:`words`, which whoever carries this out calls at its pace.
        """
        match value:
            case Delta() | Reset():
                before = self.shown.length
                if self.shown.sees(value) is None:
                    return None
                if isinstance(value, Reset) and self.shown.length < before:
                    self.stale = self.stale or self.shown.length < self.told
                return ()
            case Joined():
                # What is said to it is said under the other run's name.
                self.ended = True
                return (self._chat({"state": "final"}),)
            case RunEnded():
                return tuple(self._end(value, now_ms))
            case _:
                return ()

    def caught_up(self, text: str, attempt: int) -> None:
        """The run was looked at: this is all it has said."""
        self.shown.sees(Delta(self.run_id, attempt, 0, text))

    @property
    def has_words(self) -> bool:
        """Whether there is anything that :meth:`words` would tell."""
        return self.stale or self.shown.length > self.told

    def words(self, now_ms: int) -> Iterator[Told]:
        """What was said and not told."""
        if not self.has_words:
            return
        text = self.shown.text
        replace = self.stale or self.told > len(text)
        fresh = text if replace else text[self.told :]
        self.told, self.stale = len(text), False
        data: Payload = {"text": text, "delta": fresh, "itemId": f"text:{self.run_id}"}
        chat: Payload = {
            "state": "delta",
            "deltaText": fresh,
            "message": text_message(text, now_ms),
        }
        if replace:
            data["replace"] = chat["replace"] = True
        yield self._agent("assistant", data, now_ms, lossy=True)
        yield self._chat(chat, lossy=True)

    def _end(self, end: RunEnded, now_ms: int) -> Iterator[Told]:
        if self.ended:
            return
        self.ended = True
        if end.text != self.shown.text and end.text:
            self.stale = self.stale or not end.text.startswith(self.shown.text)
            self.shown = Shown(self.run_id)
            self.shown.sees(Delta(self.run_id, 0, 0, end.text))
        aborted = end.outcome == "aborted"
        failed = end.outcome in ("error", "quarantined")
        stop = "rpc" if aborted else end.stop_reason
        common: Payload = {
            "startedAt": self.started_ms or now_ms,
            "endedAt": now_ms,
            "stopReason": stop,
            "aborted": aborted,
        }
        # The last words of an answer are not lost, whoever is slow.
        for each in self.words(now_ms):
            yield attrs.evolve(each, lossy=False)
        if failed:
            error = end.error or "the turn failed"
            yield self._agent("lifecycle", {"phase": "error", "error": error}, now_ms)
        else:
            finishing = {"phase": "finishing", "stopReason": stop, "aborted": aborted}
            yield self._agent("lifecycle", finishing, now_ms)
            yield self._agent("lifecycle", {"phase": "end", **common}, now_ms)
        yield self._chat(_final(end, stop, now_ms))

    # --- shapes

    def _agent(
        self,
        stream: str,
        data: Payload,
        now_ms: int,
        *,
        lossy: bool = False,
        needs: str | None = None,
    ) -> Told:
        self.seq += 1
        payload = {
            "runId": self.run_id,
            "sessionKey": self.session_key,
            "agentId": self.agent,
            "stream": stream,
            "data": data,
            "seq": self.seq,
            "ts": now_ms,
        }
        return Told("agent", payload, lossy, needs)

    def _chat(self, more: Payload, *, lossy: bool = False) -> Told:
        self.seq += 1
        payload = {
            "runId": self.run_id,
            "sessionKey": self.session_key,
            "agentId": self.agent,
            "seq": self.seq,
            **more,
        }
        return Told("chat", payload, lossy)

    def _status(self, phase: str) -> Told:
        return self._chat({"state": "status", "phase": phase}, lossy=True)


def agent_of(session_key: str) -> str:
    """Whose session it is, as its key says."""
    try:
        return keys.parse(session_key).agent or ""
    except keys.BadKey:
        return ""


def _started(now_ms: int) -> Payload:
    return {"phase": "start", "startedAt": now_ms}


def _item(call_id: str, name: str) -> Payload:
    return {
        "itemId": f"tool:{call_id}",
        "toolCallId": call_id,
        "name": name,
        "kind": "tool",
        "title": name,
    }


def _final(end: RunEnded, stop: str, now_ms: int) -> Payload:
    message = text_message(end.text, now_ms) if end.text else None
    if end.outcome == "aborted":
        payload: Payload = {"state": "aborted", "stopReason": stop}
    elif end.outcome in ("error", "quarantined"):
        payload = {
            "state": "error",
            "errorMessage": end.error or "the turn failed",
            "errorKind": _ERRORS.get(end.error_kind or "", "unknown"),
        }
    else:
        payload = {"state": "final", "stopReason": stop, "usage": usage(end.usage)}
    if message is not None:
        payload["message"] = message
    return payload


def pace(receivers: int, characters: int) -> float:
    """Seconds between two tellings of one run's words.

    Wider for many receivers, and for a long text, which is told whole each time.

    >>> pace(1, 100), pace(1_000, 100), pace(1, 100_000)
    (0.0504, 0.2502, 0.2502)
    """
    return round(min(2.0, 0.05 + receivers * 0.0002 + characters * 0.000002), 4)
