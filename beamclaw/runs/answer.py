"""One model call's answer while it comes in, and what it adds up to."""

from collections.abc import Collection
from typing import assert_never

import attrs

from beamclaw.contracts import tokens
from beamclaw.contracts.messages import Message, Part, Text, Thinking, ToolCall, Usage
from beamclaw.contracts.providers import (
    End,
    ProviderEvent,
    Rates,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UsageReport,
    Vectors,
)
from beamclaw.contracts.repair import own_id


@attrs.define
class _Words:
    pieces: list[str] = attrs.field(factory=list[str])

    def part(self) -> Part:
        return Text("".join(self.pieces))


@attrs.define
class _Thoughts:
    pieces: list[str] = attrs.field(factory=list[str])
    signature: str | None = None
    redacted: str | None = None
    field: str = ""

    def part(self) -> Thinking:
        text = "".join(self.pieces)
        return Thinking(text, self.signature, self.redacted, self.field)


@attrs.define
class _Wish:
    id: str = ""
    name: str = ""
    pieces: list[str] = attrs.field(factory=list[str])

    def part(self) -> Part:
        return ToolCall(self.id, self.name, "".join(self.pieces))


@attrs.define
class Answer:
    """What there is of an answer: its parts in the order in which they began.

    Attributes:
        model: Whose it is, ``provider/model``; thoughts are kept with it.
        usage: The provider's figures; None while it gave none.
        stop_reason: Why it ended; None while it did not.
        begun: The provider has said anything at all.
        rates: What the provider said is left of its limits.
        length: Characters so far, at least one for each piece.
        size: Bytes so far, and what a model writes around each tool call.
        unclear: It failed in a way that says nothing about whether it was worked for.
        unheard: And for how long: its provider may have gone on.
        broken_off: It was longer than it may be, so the rest was not read.
        vectors: In place of words, where those were asked for.
    """

    model: str = ""
    usage: Usage | None = None
    stop_reason: StopReason | None = None
    begun: bool = False
    rates: Rates | None = None
    length: int = 0
    size: int = 0
    unclear: bool = False
    unheard: bool = False
    broken_off: bool = False
    vectors: Vectors | None = None
    _parts: list[_Words | _Thoughts | _Wish] = attrs.field(
        factory=list[_Words | _Thoughts | _Wish], init=False
    )
    # Its tool calls by their index.
    _wishes: dict[int, _Wish] = attrs.field(factory=dict[int, _Wish], init=False)

    def take(self, event: ProviderEvent) -> str:
        """Add *event*; returns the text in it that a person sees."""
        match event:
            case TextDelta(text):
                self._words().pieces.append(text)
                self.begun = self.begun or bool(text)
                self._grow(text)
                return text
            case ThinkingDelta():
                self._think(event)
            case ToolCallDelta():
                self._wish(event)
            case UsageReport(usage):
                self.usage = usage
            case Rates():
                self.rates = event
            case Vectors():
                self.begun, self.vectors = True, event
            case End(stop_reason):
                self.stop_reason = stop_reason
            case _:
                assert_never(event)
        return ""

    def break_off(self) -> None:
        """It is over, though the provider would go on."""
        self.broken_off = True
        self.usage = None  # whatever it said so far is not the whole of it
        self.stop_reason = "length"

    def _grow(self, *texts: str) -> None:
        self.length += sum(map(len, texts)) + 1
        self.size += sum(map(tokens.most_of_text, texts))

    def _words(self) -> _Words:
        last = self._parts[-1] if self._parts else None
        if not isinstance(last, _Words):
            last = _Words()
            self._parts.append(last)
        return last

    def _thoughts(self, field: str) -> _Thoughts:
        """The block of reasoning that goes on; a signature has ended the one before."""
        last = self._parts[-1] if self._parts else None
        if (
            not isinstance(last, _Thoughts)
            or last.signature
            or last.redacted
            or last.field != field
        ):
            last = _Thoughts(field=field)
            self._parts.append(last)
        return last

    def _think(self, event: ThinkingDelta) -> None:
        self.begun = True
        self._grow(event.text, event.redacted or "")
        if event.redacted is not None:
            block = _Thoughts(redacted=event.redacted, field=event.field)
            self._parts.append(block)
            return
        block = self._thoughts(event.field)
        if event.text:
            block.pieces.append(event.text)
        block.signature = event.signature

    def _wish(self, event: ToolCallDelta) -> None:
        self.begun = True
        self._grow(event.arguments, event.name or "")
        part = self._wishes.get(event.index)
        if part is None:
            part = self._wishes[event.index] = _Wish()
            self._parts.append(part)
            self.size += tokens.CALL_OVERHEAD
        part.id = part.id or event.id or ""
        part.name = part.name or event.name or ""
        part.pieces.append(event.arguments)

    @property
    def most(self) -> int:
        """Tokens that a model can have written for what has come: one for each byte."""
        return tokens.MESSAGE_OVERHEAD + self.size if self.size else 0

    @property
    def text(self) -> str:
        """The text so far."""
        words = (part for part in self._parts if isinstance(part, _Words))
        return "".join(piece for part in words for piece in part.pieces)

    @property
    def asks_for_tools(self) -> bool:
        """Whether there is a tool call in it."""
        return any(isinstance(part, _Wish) for part in self._parts)

    def message(self, taken: Collection[str] = (), *, whole: bool = True) -> Message:
        """What there is of it, as a message.

        Args:
            taken: Ids of tool calls before this one: each of ours gets one of its own,
                since some servers count from nought in every answer.
            whole: False: it broke off. Tool calls are left out then, because nobody
                knows whether they are complete.
        """
        parts: list[Part] = []
        used = set(taken)
        for part in self._parts:
            made = part.part()
            if isinstance(made, ToolCall):
                if not whole:
                    continue
                made = attrs.evolve(made, id=own_id(made.id, used))
                used.add(made.id)
            elif isinstance(made, Thinking):
                made = attrs.evolve(made, model=self.model)
            if not (isinstance(made, Text) and not made.text):
                parts.append(made)
        return Message("assistant", tuple(parts))

    def spent(self, asked: Usage) -> Usage:
        """What a call that has failed may be billed.

        Nothing if the provider refused before its first word. All that was reserved, if
        time was over while nothing came. If it was cut, the prompt as it was reserved,
        which has room for what was on its way, and what had come; nobody knows more of
        it. Figures that came before the end, as they do where the prompt's come first,
        are not all of them.
        """
        if not self.begun and self.usage is None and not self.unclear:
            return Usage()
        if self.unclear and self.stop_reason is None:
            given, received = self.usage or Usage(), self._received(asked)
            return Usage(
                max(given.input, asked.input),
                max(given.output, asked.output if self.unheard else received),
                given.cached,
                estimated=True,
                stored=given.stored,
            )
        used, output = self.cost(asked), self._received(asked)
        if self.stop_reason is not None or output <= used.output:
            return used
        return attrs.evolve(used, output=output, estimated=True)

    def cost(self, asked: Usage) -> Usage:
        """The provider's figures; where it gave none, as much as it can have been.

        Nothing for what there was is no figure: some servers fill in what they do not
        count.
        """
        given, received = self.usage or Usage(), self._received(asked)
        if given.input and (given.output or not received):
            return given
        return Usage(
            given.input or asked.input,
            given.output or received,
            given.cached,
            estimated=True,
            stored=given.stored,
        )

    def _received(self, asked: Usage) -> int:
        """Tokens that came, at most; of a model that was told where to stop, and did."""
        most = max if self.broken_off else min
        return most(self.most, asked.output)
