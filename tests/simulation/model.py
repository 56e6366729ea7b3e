"""The model providers of a world: they say what the plan wants, or fail on the way.

They are strict: a prompt that a real one would refuse is written down as a fault of the
node. And they keep the books: what was asked, what was said, and what they bill.
"""

import random
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager
from typing import Any

import attrs
import orjson
import trio

from beamclaw.contracts.messages import Message, Text, ToolCall, ToolResult, Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    Provider,
    ProviderError,
    ProviderEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.contracts.transcript import SUMMARY
from tests.simulation.node import Life
from tests.simulation.plan import Say, Wish
from tests.simulation.trace import Trace

# How the end of a command in the background is told.
_NEWS = "[The command "
_COMMAND = re.compile(r"background: session (cmd-\w+)")
_MARKER = re.compile(r"<<([\w.]+)>>")


def marked(marker: str) -> str:
    """How a person's message begins that has this marker."""
    return f"<<{marker}>> please"


def markers(text: str) -> list[str]:
    """Every marker in *text*."""
    return _MARKER.findall(text)


@attrs.define
class ModelCall:
    """One call, as its provider saw it.

    Attributes:
        marker: Of the message that it answers; empty: of a summary.
        person: Whose conversation it is of.
        messages: The prompt, as the one protocol has it.
        said: The text that was sent.
        wished: The calls of tools that were sent.
        whole: All of the answer was sent.
        error: What it failed with.
        billed: Tokens in and out.
        model: That was asked for, which says which agent asks.
    """

    number: int
    provider: str
    marker: str
    person: str
    at: float
    messages: tuple[Mapping[str, Any], ...]
    is_summary: bool = False
    said: str = ""
    wished: tuple[Wish, ...] = ()
    whole: bool = False
    error: str = ""
    billed: list[int] = attrs.field(factory=lambda: [0, 0])
    model: str = ""

    @property
    def is_sub_agent(self) -> bool:
        """Whether nobody but another agent is spoken to."""
        return self.person.startswith("sub_")


@attrs.define(eq=False)
class Models:
    """All providers of a world.

    Attributes:
        trouble: How likely a call fails on the way.
        window: Tokens that a prompt may have.
        begun: Is told of each call that begins.
        knows: Sub-agents that know what was said before, and whose words these are.
        wrong: What the node asked that a real provider would not have taken.
    """

    says: dict[str, Say]
    trace: Trace
    random: random.Random
    trouble: float
    window: int
    begun: Callable[[ModelCall], None]
    knows: Mapping[str, Collection[str]] = attrs.field(
        factory=dict[str, Collection[str]]
    )
    calls: list[ModelCall] = attrs.field(factory=list[ModelCall])
    wrong: list[str] = attrs.field(factory=list[str])

    def connect(self, life: Life, name: str, key: int) -> Provider:
        """A connection of a node's; to which of the keys makes no difference here."""
        del key
        return _Connection(self, life, name)

    def begin(self, provider: str, request: ModelRequest, at: float) -> ModelCall:
        """A call has come in that was made at *at*."""
        messages = [each for each in request.messages if each.role != "system"]
        text = " ".join(_all_text(each) for each in messages)
        found = markers(text)
        owners = [each.partition(".")[0] for each in found]
        # Who knows what was said before is the last one in it who does.
        told = [owner for owner in owners if owner in self.knows]
        is_summary = not request.tools
        # In what is summed up, and so in a summary, stands what its own sub-agents were
        # asked for.
        summed = is_summary or any(SUMMARY in message.text for message in messages)
        person = next(iter([*told[-1:], *owners]), "") or _whose(text)
        if summed and _was_given_out(text, person):
            person = _whose(text)  # and nothing of its own words is left there
        own = {person, *self.knows.get(person, ())}
        for other in {*owners} - own:
            if not (summed and other.startswith(f"sub_{person}_")):
                self.wrong.append(f"{person}: its model was shown what {other} said")
        asked = "" if is_summary else _asked(messages)
        prompt = tuple(map(_spelled, messages))
        number = len(self.calls) + 1
        call = ModelCall(number, provider, asked, person, at, prompt)
        call.is_summary, call.model = is_summary, request.model
        self.calls.append(call)
        self.wrong += [f"call {number} of {person}: {why}" for why in faults(messages)]
        self.trace.note("model", f"{provider} call {number} for {asked or 'summary'}")
        self.begun(call)
        return call

    async def answer(
        self, call: ModelCall, request: ModelRequest
    ) -> AsyncGenerator[ProviderEvent, None]:
        """What is said to *request*, or the error that it fails with."""
        rng = self.random
        asked = _tokens(request)
        if asked > self.window:
            raise _refused(call, "context_length")
        trouble = rng.random() < self.trouble
        if trouble and rng.random() < 0.6:
            await self._refuse(call)
        cut = rng.randint(0, 6) if trouble else -1
        events = _events(call, request, self.says)
        await trio.sleep(rng.choice((0.0, 0.05, 0.3, 2.0)))
        gap = rng.choice((0.0, 0.0, 0.01, 0.05))
        if rng.random() < 0.3:  # as some do: the prompt's tokens before anything else
            call.billed[0] = asked
            yield UsageReport(Usage(asked, 0))
        for index, event in enumerate(events):
            if index == cut:
                await self._break(call)
            # Nothing is billed before the first word.
            call.billed[0] = asked
            if isinstance(event, TextDelta):
                call.said += event.text
                call.billed[1] += 1
            elif isinstance(event, ToolCallDelta):
                call.billed[1] += 2
            elif isinstance(event, UsageReport):
                usage = Usage(call.billed[0], call.billed[1])
                event = UsageReport(usage)  # noqa: PLW2901 -- filled in
            else:
                call.whole = True
                self.trace.note("model", f"call {call.number} whole")
            yield event
            await trio.sleep(gap)
        if not call.whole:
            await self._break(call)

    async def _refuse(self, call: ModelCall) -> None:
        """Fail before anything is said."""
        rng = self.random
        kind = rng.choice(
            (
                "rate_limit",
                "overloaded",
                "server",
                "network",
                "auth",
                "quota",
                "invalid",
            )
        )
        await trio.sleep(rng.choice((0.0, 0.5)))
        after = rng.choice((None, None, 1.0, 20.0, 1_000.0))
        call.error = kind
        self.trace.note("model", f"call {call.number} {kind} {after}")
        raise ProviderError(kind, f"told to be {kind}", retry_after=after)

    async def _break(self, call: ModelCall) -> None:
        """Fail in the middle: cut, or silent until the client gives up."""
        seconds = self.random.choice((0.0, 0.0, 120.0))
        await trio.sleep(seconds)
        call.error = "network"
        self.trace.note("model", f"call {call.number} cut after {seconds:g}")
        raise ProviderError("network", f"cut after {seconds:g} s")


@attrs.frozen
class _Connection:
    models: Models
    life: Life
    name: str

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest
    ) -> AsyncIterator[AsyncIterator[ProviderEvent]]:
        if self.life.dead:
            raise ProviderError("network", "the node is dead")
        call = self.models.begin(self.name, request, trio.current_time())
        async with aclosing(self.models.answer(call, request)) as events:
            yield events

    async def aclose(self) -> None:
        pass


def _refused(call: ModelCall, kind: str) -> ProviderError:
    call.error = kind
    return ProviderError("context_length", "the prompt is too long")


def _events(
    call: ModelCall, request: ModelRequest, says: dict[str, Say]
) -> list[ProviderEvent]:
    """The whole answer to *request*, piece by piece."""
    report = UsageReport(Usage())
    say = says.get(call.marker)
    if not request.tools:
        words = " ".join(f"<<{m}>>" for m in dict.fromkeys(_marked(request)))
        return [TextDelta(f"so far: {words}"), report, End("stop")]
    if say is None:
        return [TextDelta(f"{call.person} said more before"), report, End("stop")]
    step = _round(request.messages)
    text = [TextDelta(f"{call.marker}-{step}-{n} ") for n in range(say.words)]
    if step >= len(say.rounds):
        return [*text, report, End("stop")]
    call.wished = say.rounds[step]
    wishes: list[ProviderEvent] = []
    for index, wish in enumerate(call.wished):
        place = f"{call.number}.{index}"
        wanted = _arguments(wish, call.marker, place, _last_command(request))
        given = orjson.dumps(wanted).decode()
        # Counted from nought in every answer, as some servers do.
        wishes.append(ToolCallDelta(index, f"call_{index}", wish.tool, given[:4]))
        wishes.append(ToolCallDelta(index, None, None, given[4:]))
    return [*text[:2], *wishes, report, End("tool_calls")]


def _last_command(request: ModelRequest) -> str:
    """What the command is called that went on in the background last."""
    texts = (_all_text(message) for message in request.messages)
    found = [id_ for text in texts for id_ in _COMMAND.findall(text)]
    return found[-1] if found else "cmd-none"


def _arguments(wish: Wish, marker: str, place: str, command: str) -> dict[str, Any]:
    if wish.task is not None and wish.tool == "spawn":
        more = wish.given or {}
        return {"task": marked(wish.task.marker), "mode": wish.text, **more}
    if wish.task is not None:
        return {"text": marked(wish.task.marker), **(wish.given or {})}
    if wish.given is None:
        return {"text": wish.text, "for": marker}
    names = {
        "{mark}": f"<<{marker}.{place}>>",
        "{place}": f"{marker}.{place}",
        "{who}": marker.partition(".")[0],
        "{session}": command,
    }
    return {key: _filled(value, names) for key, value in wish.given.items()}


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(name, text)
    return value


def _round(messages: Sequence[Message]) -> int:
    """How many answers with tool calls have been given since a person spoke."""
    count = 0
    for message in reversed(messages):
        if message.role == "user":
            break
        count += any(isinstance(part, ToolCall) for part in message.parts)
    return count


def _asked(messages: Sequence[Message]) -> str:
    """The marker of the last message of a person."""
    for message in reversed(messages):
        if message.role == "user":
            if message.text.startswith(_NEWS):
                return ""  # nobody has asked for anything
            found = markers(message.text)
            return found[-1] if found else ""
    return ""


def _marked(request: ModelRequest) -> list[str]:
    return [each for message in request.messages for each in markers(message.text)]


def _spelled(message: Message) -> Mapping[str, Any]:
    """A message as the auditor reads it; the results of one answer are one message."""
    calls = [{"id": p.id} for p in message.parts if isinstance(p, ToolCall)]
    results = [p.id for p in message.parts if isinstance(p, ToolResult)]
    spelled: dict[str, Any] = {"role": message.role, "content": message.text}
    if calls:
        spelled["tool_calls"] = calls
    if results:
        spelled["tool_call_id"] = results[0]
    return spelled


def _all_text(message: Message) -> str:
    parts = message.parts
    return " ".join(p.text for p in parts if isinstance(p, Text | ToolResult))


def _whose(text: str) -> str:
    """Whose conversation was begun anew, and holds what a sub-agent has announced."""
    found = re.search(r"\bsub_(p\d+)_", text)
    return found[1] if found else ""


def _was_given_out(text: str, person: str) -> bool:
    """Whether *person* is a sub-agent that is only mentioned as what one was asked for."""
    said = rf'(?<!"task":")<<{re.escape(person)}\b'
    return person.startswith("sub_") and not re.search(said, text)


def _tokens(request: ModelRequest) -> int:
    """What it bills for the prompt: by a count of its own, below the node's estimate."""
    spoken = sum(len(_all_text(each).encode()) for each in request.messages)
    return spoken // 4 + 2 * len(request.messages)


def faults(messages: Sequence[Message]) -> list[str]:  # noqa: C901 -- a table
    """What a strict provider refuses a prompt for."""
    found: list[str] = []
    waiting: list[str] = []
    seen: set[str] = set()
    for message in messages:
        if not message.parts:
            found.append("a message is empty")
        if message.role != "tool" and waiting:
            found.append(f"calls {waiting} have no result")
            waiting = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                if part.id in seen:
                    found.append(f"the id {part.id} twice")
                seen.add(part.id)
                waiting.append(part.id)
            elif isinstance(part, ToolResult):
                if part.id not in waiting:
                    found.append(f"a result for {part.id}, which nobody asked")
                else:
                    waiting.remove(part.id)
    if waiting:
        found.append(f"calls {waiting} have no result")
    if not messages or messages[-1].role not in {"user", "tool"}:
        found.append("nobody has said anything that could be answered")
    return found
